//! Pieces of SQL that several questions share, as literals for `concat!`.

/// States of an issue on which someone still has to act.
macro_rules! active_states {
    () => {
        "('DETECTED', 'OPEN', 'WORK_ORDERED', 'REOPENED')"
    };
}

/// States of an issue that is not over; at most one per subject and family.
macro_rules! open_states {
    () => {
        "('DETECTED', 'OPEN', 'WORK_ORDERED', 'REOPENED', 'FIXED_PENDING')"
    };
}

/// `m` joined with `s`: heard within three contact periods before `$1`.
macro_rules! reporting {
    () => {
        "coalesce(s.last_heard_at > $1::timestamptz - m.contact_every_s * interval '3 seconds', \
         false)"
    };
}

/// `i` is where meter `m` stands at `$1`.
macro_rules! installed_now {
    () => {
        "i.meter_id = m.meter_id AND i.valid_from <= $1::timestamptz \
         AND i.valid_to > $1::timestamptz"
    };
}

/// A meter `m` with where it stands and what was last heard of it.
macro_rules! meter_joins {
    () => {
        concat!(
            " LEFT JOIN installation i ON ",
            installed_now!(),
            " LEFT JOIN usage_point u ON u.usage_point_id = i.usage_point_id \
             LEFT JOIN network_zone z ON z.zone_id = u.zone_id \
             LEFT JOIN route t ON t.route_id = u.route_id \
             LEFT JOIN collector k ON k.collector_id = m.primary_collector_id \
             LEFT JOIN meter_state s ON s.meter_id = m.meter_id "
        )
    };
}

/// `MeterFilter` as `$2` to `$9`, over the tables of `meter_joins`; `$1` is now.
macro_rules! meter_filter {
    () => {
        concat!(
            "($2::text IS NULL OR m.number ILIKE $2 OR m.serial ILIKE $2 OR u.address ILIKE $2 \
             OR u.account_no ILIKE $2 OR m.meter_id IN (SELECT w.meter_id FROM meter_source w \
               WHERE w.source_id ILIKE $2)) \
             AND ($3::text IS NULL OR m.commodity = $3) AND ($4::text IS NULL OR z.code = $4) \
             AND ($5::text IS NULL OR t.code = $5) AND ($6::text IS NULL OR k.code = $6) \
             AND ($7::text IS NULL OR $7 = ANY (u.tags)) \
             AND ($8::text IS NULL OR EXISTS (SELECT 1 FROM meter_issue x \
               WHERE x.subject_kind = 'meter' AND x.subject_id = m.meter_id AND x.state IN ",
            active_states!(),
            " AND ($8 = 'any' OR x.family = $8 \
                OR coalesce(x.identified_cause, x.cause_detected) = $8))) \
             AND ($9::text IS NULL OR $9 = CASE WHEN s.last_heard_at IS NULL THEN 'never_heard' \
               WHEN ",
            reporting!(),
            " THEN 'reporting' ELSE 'silent' END) "
        )
    };
}

/// The main channel of each meter: the lowest that has intervals.
macro_rules! main_channels {
    () => {
        "(SELECT DISTINCT ON (meter_id) meter_id, channel, reading_type FROM meter_channel \
         WHERE kind <> 'instant' AND len_s > 0 ORDER BY meter_id, channel)"
    };
}

/// The sums of `ingest_batch` in the order of `Identity`.
macro_rules! identity_sums {
    () => {
        "count(*), coalesce(sum(messages), 0)::int8, coalesce(sum(offered), 0)::int8, \
         coalesce(sum(inserted), 0)::int8, coalesce(sum(duplicate + folded), 0)::int8, \
         coalesce(sum(conflicting), 0)::int8, coalesce(sum(dead), 0)::int8, \
         coalesce(sum(derived), 0)::int8, coalesce(sum(events), 0)::int8"
    };
}

/// A sum of stored values that cannot leave the range of `int8`.
macro_rules! clamped_sum {
    ($value:literal) => {
        concat!(
            "least(greatest(coalesce(sum(",
            $value,
            "), 0), -4611686018427387903), 4611686018427387903)::int8"
        )
    };
}

pub(super) use {
    active_states, clamped_sum, identity_sums, installed_now, main_channels, meter_filter,
    meter_joins, open_states, reporting,
};
