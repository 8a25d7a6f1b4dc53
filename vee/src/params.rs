//! The limits of the rules, with their defaults.

/// Limits that a utility may change. Defaults are those of the rule catalogue.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Params {
    /// #2: an interval may end this long after its arrival, in seconds (clocks differ).
    pub future_max_s: i64,
    /// #2: an interval may be this old at its arrival, in seconds (store and forward).
    pub age_max_s: i64,
    /// #7: device clock ahead by more than this warns, in seconds.
    pub clock_warn_s: i64,
    /// #7: device clock ahead by more than this fails, in seconds.
    pub clock_fail_s: i64,
    /// #7: the same for a channel of a time-of-use register, in seconds.
    pub clock_fail_tou_s: i64,
    /// #12: factor on what the service can carry, in percent (125 = the catalogue's 1.25).
    pub cap_percent: i64,
    /// #12: added to the time between two register reads, in seconds. Telegrams of one meter are
    /// stamped by several collectors, whose clocks differ.
    pub cap_slack_s: i64,
    /// #10: a rollover starts from a counter of at least this share of its modulus, in percent.
    pub rollover_from_percent: i64,
    /// #11: a decrease of up to this many counter steps passes (a dial on the edge of a digit).
    pub decrease_pass_max: i64,
    /// A decrease of up to this many counter steps is backflow or jitter, a larger one a reset.
    pub decrease_few_max: i64,
}

impl Default for Params {
    fn default() -> Self {
        Self {
            future_max_s: 300,
            age_max_s: 400 * 86_400,
            clock_warn_s: 60,
            clock_fail_s: 180,
            clock_fail_tou_s: 60,
            cap_percent: 125,
            cap_slack_s: 60,
            rollover_from_percent: 90,
            decrease_pass_max: 1,
            decrease_few_max: 10,
        }
    }
}

impl Params {
    /// The most that `per_hour` allows in `seconds`, with the factor of REG-CAP. In the unit of
    /// `per_hour`; saturates.
    pub fn cap(&self, per_hour: i64, seconds: i64) -> i64 {
        let product =
            i128::from(per_hour) * i128::from(seconds.max(0)) * i128::from(self.cap_percent);
        i64::try_from(product / 360_000).unwrap_or(i64::MAX)
    }
}
