//! #59 to #61, #63 and #64: communications. One line of text and one of numbers for each parameter:
//! `"What it means." key = default "unit", least..=largest, Std|Default;`

macro_rules! comm_params {
    ([$next:ident $($rest:ident)*] $($before:tt)*) => { $next! { [$($rest)*] $($before)*

    "COM-STALE" {
        "Least run of missed contacts."
            silence_k_min = 3 "", 1..=50, Default;
        "False stales tolerated in the whole fleet per day."
            silence_false_per_day = 1 "", 1..=1000, Default;
        "Least miss rate assumed, in thousandths."
            silence_miss_min_permille = 10 "1/1000", 1..=500, Default;
        "Largest miss rate assumed, in thousandths."
            silence_miss_max_permille = 500 "1/1000", 10..=900, Default;
        "Lost after this silence, electricity, in hours."
            lost_electricity_h = 24 "h", 1..=720, Default;
        "Lost after this silence, water, gas and heat, in hours."
            lost_other_h = 72 "h", 1..=720, Default;
        "Readings that show a return."
            return_readings = 3 "", 1..=20, Default;
        "Within this many cadences."
            return_cadences = 2 "", 1..=20, Default;
        "Losses within `flap_days` that make the link marginal."
            flap_cycles = 3 "", 2..=3, Default;
        "See `flap_cycles`; also how long the link must be good again, in days."
            flap_days = 7 "d", 1..=30, Default;
    }
    "COM-MISS" {
        "Delivered share of seven days below which a link is marginal, in per cent."
            miss_fail_pct = 80 "%", 10..=99, Default;
        "Delivered share of seven days below which it is noted, and from which it clears, in per cent."
            miss_warn_pct = 95 "%", 50..=100, Default;
        "Half of a collector's meters below this share are the collector's matter, in per cent."
            miss_route_pct = 90 "%", 10..=99, Default;
    }
    "COM-COLL" {
        "Missed heartbeats that mean an outage."
            heartbeat_periods = 3 "", 2..=20, Default;
        "Least number of newly stale meters."
            collector_stale_min = 5 "", 2..=1000, Default;
        "And least share of the collector's meters, in per cent."
            collector_stale_pct = 30 "%", 5..=100, Default;
        "Least background share of stale meters, in thousandths."
            collector_background_permille = 5 "1/1000", 1..=200, Default;
        "Chance of so many by accident must be below 10 to minus this."
            collector_chance_exp = 6 "", 2..=12, Default;
        "Newly stale means within this time or two cadences, in seconds."
            collector_window_s = 1800 "s", 300..=86400, Default;
        "Share of the meters that must be heard again, in per cent."
            collector_back_pct = 80 "%", 10..=100, Default;
        "Children not back after this many cadences become their own issue."
            collector_child_cadences = 4 "", 1..=50, Default;
    }
    "COM-CLASSIFY" {
        "A low-battery flag within this many days explains the silence."
            classify_battery_days = 60 "d", 1..=365, Default;
        "A tamper event within this many days before an abrupt silence explains it."
            classify_tamper_days = 7 "d", 1..=60, Default;
        "Weakest signal that is still received, in dBm."
            classify_rssi_floor_dbm = -115 "dBm", -150..=-50, Default;
        "Share of its design life after which a battery explains the silence, in per cent."
            classify_life_pct = 95 "%", 50..=150, Default;
        "A signal that falls by this much in a week is on its way out, in hundredths of dB."
            classify_rssi_fall_cdb = 100 "1/100 dB", 10..=2000, Default;
        "Meters of one firmware that fall silent together."
            cohort_min = 3 "", 2..=100, Default;
        "Together means within this time, in hours."
            cohort_window_h = 24 "h", 1..=168, Default;
        "Chance of so many by accident must be below 10 to minus this."
            cohort_chance_exp = 5 "", 2..=12, Default;
        "A meter that was to be exchanged or removed within this many days is expected to be silent."
            classify_exchange_days = 2 "d", 0..=14, Default;
        "Nothing from anybody for this long means that we are cut off, in seconds."
            headend_silence_s = 900 "s", 60..=86400, Default;
        "But never with fewer meters than this."
            headend_meters_min = 10 "", 2..=100000, Default;
        "A jump of log time longer than this means that nobody watched, unless what was sent meanwhile arrives; silence does not count through it, in seconds."
            blind_jump_s = 600 "s", 60..=86400, Default;
    }

    } };
}
