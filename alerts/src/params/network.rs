//! #37, #47, #48 and #62: transformers, district metered areas, outages. One line of text and one
//! of numbers for each parameter:
//! `"What it means." key = default "unit", least..=largest, Std|Default;`

macro_rules! network_params {
    ([$next:ident $($rest:ident)*] $($before:tt)*) => { $next! { [$($rest)*] $($before)*

    "TMP-XFMR" {
        "Loss above this is too much for any transformer, in hundredths of a per cent."
            xfmr_loss_max_x100 = 800 "1/100 %", 50..=5000, Default;
        "Loss this far above the transformer's own days is too much, robust z in hundredths."
            xfmr_z_x100 = 400 "1/100", 100..=2000, Default;
        "Of the last 7 judged days so many must be bad to raise, good to clear."
            xfmr_days = 5 "d", 1..=7, Default;
        "Share of the transformer's meters that must have told their day, in per cent."
            xfmr_coverage_pct = 98 "%", 50..=100, Default;
        "After two days so many are enough; the limits are wider by half of what the others are taken to use."
            xfmr_coverage_late_pct = 80 "%", 50..=100, Default;
        "Fewer own days than this: only the limit counts."
            xfmr_days_min = 14 "d", 7..=60, Default;
    }
    "DMA-MNF" {
        "Legitimate night use of one dwelling unit, in mL/h."
            dma_unit_mlph = 1800 "mL/h", 0..=20000, Default;
        "Night-day factor: share of the night leak that holds over the day, in per cent."
            dma_night_day_pct = 95 "%", 80..=110, Default;
        "Too much: the net night flow exceeds this share of the 10th percentile of 90 days, in per cent."
            dma_p10_pct = 150 "%", 110..=500, Default;
        "On so many nights in a row; as many below clear it."
            dma_nights = 3 "d", 1..=14, Default;
        "Nights needed before the net night flow is compared with its own."
            dma_nights_min = 14 "d", 5..=60, Default;
        "CUSUM: slack, in hundredths of the spread."
            dma_cusum_k_x100 = 50 "1/100", 10..=200, Default;
        "CUSUM: limit, in hundredths of the spread."
            dma_cusum_h_x100 = 500 "1/100", 100..=2000, Default;
    }
    "DMA-BAL" {
        "The gap is this far above the area's own days, robust z in hundredths."
            dma_gap_z_x100 = 400 "1/100", 100..=2000, Default;
        "On so many days in a row; as many inside clear it."
            dma_gap_days = 3 "d", 1..=14, Default;
        "Share of the readings that must be there, in per cent; below it the balance is scaled and the limit widened."
            dma_coverage_pct = 97 "%", 50..=100, Default;
        "Least spread of the gap, in hundredths of a per cent of the inflow."
            dma_gap_floor_x100 = 100 "1/100 %", 10..=1000, Default;
    }
    "PWR-AREA" {
        "Meters of one transformer that fail together."
            outage_transformer_min = 3 "", 1..=100, Default;
        "And their share of the transformer's meters, in per cent."
            outage_transformer_pct = 30 "%", 5..=100, Default;
        "Meters of one feeder section that fail together."
            outage_feeder_min = 10 "", 2..=1000, Default;
        "And their share of the feeder's meters, in per cent."
            outage_feeder_pct = 20 "%", 5..=100, Default;
        "Together means within this time, in seconds."
            outage_window_s = 120 "s", 10..=900, Default;
        "Share of the meters that must be back, in per cent."
            outage_back_pct = 90 "%", 50..=100, Default;
        "A single meter is out when it is still dark after this, in seconds."
            outage_single_s = 120 "s", 30..=3600, Default;
    }

    } };
}
