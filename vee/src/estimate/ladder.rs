//! The ladder (7.1): which methods apply, which one is taken, and how far it is to be trusted.

use std::collections::BTreeMap;

use metering::{QualityStatus, Ratio, UtcTime};

use super::backtest::{self, GapClass, MethodScore};
use super::days::Days;
use super::input::GapInput;
use super::outage::{self, ZeroFill};
use super::outcome::{Confidence, ConfidenceClass, Estimate, Inputs, MethodTrial, Review};
use super::scale::{self, Residual, Scaling, Unscaled};
use super::shapes::{Around, NotApplicable, Shape};
use super::share::Weights;
use super::tou;
use super::{EstimateError, Gap, Method};

/// Longest gap, in slots: bounds the cost of one call (100 days of quarter hours).
pub const SLOTS_MAX: usize = 9_600;
/// No clock change is longer.
const CLOCK_CHANGE_MAX_S: i64 = 2 * 3_600;
/// A back-test with fewer stretches says nothing. `default`.
pub const TESTS_MIN: u32 = 8;
/// A method displaces the ladder's first choice only when its error is below this share of the
/// first one's, in percent. `default`.
const BETTER_PERCENT: i64 = 90;
/// An estimate of more than this needs review before it counts (5.1), in seconds.
const REVIEW_MIN_S: i64 = 15 * 86_400;

/// One channel, prepared: like days and back-tests are worked out once for all its gaps.
#[derive(Debug)]
pub struct Estimator<'a> {
    input: GapInput<'a>,
    days: Days,
    scores: BTreeMap<(GapClass, bool), Vec<MethodScore>>,
}

/// A gap with what every method would write into it.
struct Candidates {
    gap: Gap,
    tried: Vec<(Method, Result<Shape, NotApplicable>)>,
    chosen: usize,
    fill: Option<ZeroFill>,
}

/// Estimates the gaps of one window.
///
/// # Errors
/// [`EstimateError::NoData`] when the ladder ends without a method, [`EstimateError::Refused`] when
/// a person's method does not apply, others when the input is misshapen.
pub fn estimate(input: &GapInput<'_>) -> Result<Vec<Estimate>, EstimateError> {
    Estimator::new(*input).estimate(input)
}

impl<'a> Estimator<'a> {
    /// Prepares the channel of `input`; its gaps and registers may differ from call to call.
    pub fn new(input: GapInput<'a>) -> Self {
        Self { days: Days::of(input.facts, input.series), input, scores: BTreeMap::new() }
    }

    /// Estimates the gaps of a window of the same channel; see [`estimate`].
    ///
    /// # Errors
    /// As [`estimate`].
    pub fn estimate(&mut self, window: &GapInput<'_>) -> Result<Vec<Estimate>, EstimateError> {
        let input = GapInput { facts: self.input.facts, series: self.input.series, ..*window };
        check_shape(&input)?;
        let residual = match &input.registers {
            Some(registers) => scale::residual(registers, input.series, input.gaps)?,
            None => Err(Unscaled::NoRegisters),
        };
        let mut all = Vec::with_capacity(input.gaps.len());
        for gap in input.gaps {
            all.push(self.candidates(&input, *gap, residual.is_ok())?);
        }
        let by_rate = by_rate(&input, residual)?;
        let weights: Vec<Weights> = all.iter().map(|one| one.chosen().weights.clone()).collect();
        let (values, scaling) = shared(&weights, (residual, by_rate.as_ref()), &input)?;
        let mut from = 0;
        let mut estimates = Vec::with_capacity(all.len());
        for (at, one) in all.iter().enumerate() {
            let to = from + one.chosen().weights.values.len();
            let mut estimate = self.told(&input, one, (residual, scaling))?;
            estimate.values = values[from..to].to_vec();
            if let Some(rates) = &by_rate {
                estimate.inputs.rates = rates.iter().map(|(rate, units)| (*rate, *units)).collect();
            }
            estimate.alternatives =
                self.trials(&input, (&all, at), (residual, by_rate.as_ref()))?;
            finish(&mut estimate, residual.ok());
            estimates.push(estimate);
            from = to;
        }
        Ok(estimates)
    }

    /// Scores of the methods on this channel for gaps of this class.
    pub fn scores(&mut self, class: GapClass, scaled: bool) -> &[MethodScore] {
        let around = around(&self.input, &self.days);
        self.scores
            .entry((class, scaled))
            .or_insert_with(|| backtest::scores(&around, class, UtcTime::MAX, scaled))
    }

    fn candidates(
        &mut self,
        input: &GapInput<'_>,
        gap: Gap,
        scaled: bool,
    ) -> Result<Candidates, EstimateError> {
        let zero = outage::covering(input.facts, input.outages, gap);
        let slots = gap.slots(input.facts.len_s());
        let mut tried =
            vec![(Method::OutageZero, zero.map(|_| Shape::plain(outage::zero_weights(slots))))];
        let around = around(input, &self.days);
        for method in ladder(input) {
            tried.push((method, around.shape(method, gap)));
        }
        if tried.iter().all(|(_, shape)| shape.is_err()) {
            self.last_resort(input, gap, scaled, &mut tried);
        }
        let chosen = match input.method {
            Some(method) => self.as_told(input, gap, method, &mut tried)?,
            None => {
                let class = GapClass::of(gap, input.facts.len_s());
                let scores = self.scores(class, scaled);
                let error = |method: Method| {
                    let told = |one: &&MethodScore| one.method == method && one.tests >= TESTS_MIN;
                    scores.iter().find(told).map(|score| i64::from(score.mape_milli))
                };
                let usable = tried.iter().filter(|(_, shape)| shape.is_ok());
                let usable: Vec<Method> = usable.map(|(method, _)| *method).collect();
                let best = pick(&usable, error).ok_or(EstimateError::NoData)?;
                tried.iter().position(|(method, _)| *method == best).unwrap_or(0)
            }
        };
        Ok(Candidates { gap, tried, chosen, fill: zero.ok().map(|(_, fill)| fill) })
    }

    /// Nothing of the ladder applies: the register alone, spread flat, or the one known side.
    fn last_resort(
        &self,
        input: &GapInput<'_>,
        gap: Gap,
        scaled: bool,
        tried: &mut [(Method, Result<Shape, NotApplicable>)],
    ) {
        let slots = gap.slots(input.facts.len_s());
        let (method, shape) = if scaled {
            (Method::AverageDaily, Ok(Shape::plain(Weights::new(vec![0; slots], 1))))
        } else if gap.len_s() <= super::shapes::LINEAR_MAX_S {
            (Method::Linear, around(input, &self.days).line(gap))
        } else {
            return;
        };
        if let Some(place) = tried.iter_mut().find(|(one, _)| *one == method) {
            place.1 = shape;
        }
    }

    /// The method that a person asked for; the gate of the straight line is theirs to open.
    fn as_told(
        &self,
        input: &GapInput<'_>,
        gap: Gap,
        method: Method,
        tried: &mut [(Method, Result<Shape, NotApplicable>)],
    ) -> Result<usize, EstimateError> {
        let refused = EstimateError::Refused(NotApplicable::NotComputed);
        let at = tried.iter().position(|(one, _)| *one == method).ok_or(refused)?;
        if tried[at].1.is_err() && method == Method::Linear {
            tried[at].1 = around(input, &self.days).line(gap);
        }
        match &tried[at].1 {
            Ok(_) => Ok(at),
            Err(why) => Err(EstimateError::Refused(*why)),
        }
    }

    fn told(
        &mut self,
        input: &GapInput<'_>,
        one: &Candidates,
        (residual, scaling): (Result<Residual, Unscaled>, Scaling),
    ) -> Result<Estimate, EstimateError> {
        let (method, shape) = (one.tried[one.chosen].0, one.chosen());
        let class = GapClass::of(one.gap, input.facts.len_s());
        let scores = self.scores(class, residual.is_ok());
        let tested = scores.iter().find(|score| score.method == method).copied();
        let score = tested.filter(|score| score.tests >= TESTS_MIN);
        let few = tested.filter(|score| (1..TESTS_MIN).contains(&score.tests));
        let zero = method == Method::OutageZero;
        let mut review = reasons(method, one, scaling);
        if zero && one.fill == Some(ZeroFill::Provisional) {
            review.push(Review::ProvisionalZero);
        }
        let mut confidence = confidence(method, shape, score, &review);
        if let Some(few) = few {
            // Too few to state an error, enough to doubt.
            confidence.class = confidence.class.max(ConfidenceClass::of_error(few.mape_milli));
        }
        let profile = (method == Method::ClassProfile).then_some(input.profile).flatten();
        Ok(Estimate {
            gap: one.gap,
            method,
            values: Vec::new(),
            status: if zero { QualityStatus::OutageZero } else { QualityStatus::Estimated },
            scaling,
            residual: residual.map_or(Ratio::whole(0), |residual| residual.rest),
            inputs: Inputs {
                before: shape.before,
                after: shape.after,
                reference_days: shape.reference_days.clone(),
                registers: input.registers,
                rates: Vec::new(),
                profile_id: profile.map(|profile| profile.id.clone()),
            },
            confidence,
            alternatives: Vec::new(),
            review,
        })
    }

    /// Every method for the gap `at`, the other gaps of the window as they were chosen.
    fn trials(
        &mut self,
        input: &GapInput<'_>,
        (all, at): (&[Candidates], usize),
        (residual, by_rate): Known<'_>,
    ) -> Result<Vec<MethodTrial>, EstimateError> {
        let one = &all[at];
        let class = GapClass::of(one.gap, input.facts.len_s());
        let scores = self.scores(class, residual.is_ok()).to_vec();
        let mut trials = Vec::with_capacity(one.tried.len());
        for (n, (method, shape)) in one.tried.iter().enumerate() {
            let (values, refused) = match shape {
                Ok(shape) => (with_others((all, at), shape, (residual, by_rate), input)?, None),
                Err(why) => (Vec::new(), Some(*why)),
            };
            let score = scores.iter().find(|score| score.method == *method).copied();
            let chosen = n == one.chosen;
            trials.push(MethodTrial { method: *method, values, refused, score, chosen });
        }
        Ok(trials)
    }
}

impl Candidates {
    fn chosen(&self) -> &Shape {
        match &self.tried[self.chosen].1 {
            Ok(shape) => shape,
            Err(_) => unreachable!("only a method that applies is chosen"),
        }
    }
}

impl Shape {
    fn plain(weights: Weights) -> Self {
        Self { weights, reference_days: Vec::new(), before: None, after: None, one_sided: false }
    }
}

fn around<'b>(input: &GapInput<'b>, days: &'b Days) -> Around<'b> {
    Around {
        facts: input.facts,
        series: input.series,
        days,
        profile: input.profile,
        check: input.check,
    }
}

/// Steps 2 to 7; a channel that is only a register takes its average before a class profile.
fn ladder(input: &GapInput<'_>) -> [Method; 7] {
    use Method::{AverageDaily, Check, ClassProfile, LikeMean, LikeOne, Linear, PreviousYear};
    if input.facts.is_register_only() {
        [Check, Linear, LikeMean, LikeOne, PreviousYear, AverageDaily, ClassProfile]
    } else {
        [Check, Linear, LikeMean, LikeOne, PreviousYear, ClassProfile, AverageDaily]
    }
}

/// The ladder's first method, unless another did clearly better on this channel. What is measured
/// (an outage, a check meter) is never voted down. `applicable` stands in the ladder's order;
/// `error` is a method's error where enough stretches tell it.
pub(super) fn pick(applicable: &[Method], error: impl Fn(Method) -> Option<i64>) -> Option<Method> {
    let first = *applicable.first()?;
    if matches!(first, Method::OutageZero | Method::Check) {
        return Some(first);
    }
    let Some(own) = error(first) else { return Some(first) };
    let others = applicable.iter().enumerate().skip(1);
    let best = others
        .filter_map(|(at, method)| Some((error(*method)?, at)))
        .min()
        .filter(|(error, _)| error * 100 < own * BETTER_PERCENT);
    Some(best.map_or(first, |(_, at)| applicable[at]))
}

fn check_shape(input: &GapInput<'_>) -> Result<(), EstimateError> {
    let len_s = input.facts.len_s();
    if input.gaps.is_empty() {
        return Err(EstimateError::NoGap);
    }
    let mut end = UtcTime::MIN;
    for gap in input.gaps {
        let slots = gap.slots(len_s);
        let whole =
            len_s > 0 && gap.len_s() == i64::from(len_s) * i64::try_from(slots).unwrap_or(0);
        // Two local days touch when one of them has only 23 hours.
        let from = if i64::from(len_s) < metering::time::DAY_S {
            gap.from
        } else {
            gap.from.plus_seconds(CLOCK_CHANGE_MAX_S)
        };
        if !whole || slots == 0 || slots > SLOTS_MAX || from < end {
            return Err(EstimateError::Misshapen { len_s });
        }
        if gap.ends(len_s).any(|end| input.series.at(end).is_some_and(super::Slot::is_usable)) {
            return Err(EstimateError::NotAGap);
        }
        end = gap.to;
    }
    Ok(())
}

/// What the registers say of the window: of all slots together, and of those of each rate.
type Known<'a> = (Result<Residual, Unscaled>, Option<&'a BTreeMap<u8, i64>>);

fn by_rate(
    input: &GapInput<'_>,
    residual: Result<Residual, Unscaled>,
) -> Result<Option<BTreeMap<u8, i64>>, EstimateError> {
    match (&input.rates, &input.registers, residual) {
        (Some(tou), Some(total), Ok(residual)) => {
            tou::residuals(input.facts, tou, (total, residual), input.series, input.gaps)
        }
        _ => Ok(None),
    }
}

/// Values of all gaps in order, and how they relate to the register.
fn shared(
    weights: &[Weights],
    (residual, by_rate): Known<'_>,
    input: &GapInput<'_>,
) -> Result<(Vec<i64>, Scaling), EstimateError> {
    let step = input.facts.step();
    match residual {
        Ok(residual) => {
            let joined = Weights::joined(weights)?;
            let (values, scaling) = scale::scaled(&joined, residual.units, step, input.facts.net)?;
            if let (Some(tou), Some(residuals)) = (&input.rates, by_rate) {
                let len_s = input.facts.len_s();
                let ends = input.gaps.iter().flat_map(|gap| gap.ends(len_s));
                let rates: Vec<u8> = ends.map(|end| tou.schedule.rate(input.facts, end)).collect();
                if let Some(values) = tou::scaled(&joined, &rates, residuals, step)? {
                    return Ok((values, scaling));
                }
            }
            Ok((values, scaling))
        }
        Err(why) => {
            let mut values = Vec::new();
            for one in weights {
                values.extend(one.rounded(step)?);
            }
            Ok((values, Scaling::Unscaled(why)))
        }
    }
}

fn with_others(
    (all, at): (&[Candidates], usize),
    shape: &Shape,
    known: Known<'_>,
    input: &GapInput<'_>,
) -> Result<Vec<i64>, EstimateError> {
    let weights: Vec<Weights> = all
        .iter()
        .enumerate()
        .map(|(n, one)| if n == at { &shape.weights } else { &one.chosen().weights })
        .cloned()
        .collect();
    let (values, _) = shared(&weights, known, input)?;
    let from: usize = weights[..at].iter().map(|one| one.values.len()).sum();
    Ok(values[from..from + shape.weights.values.len()].to_vec())
}

fn reasons(method: Method, one: &Candidates, scaling: Scaling) -> Vec<Review> {
    let mut review = Vec::new();
    if method == Method::ClassProfile {
        review.push(Review::ClassProfile);
    }
    if one.gap.len_s() > REVIEW_MIN_S {
        review.push(Review::Longer15Days);
    }
    if scaling == Scaling::Negative {
        review.push(Review::RegisterExceeded);
    } else if !scaling.is_plausible() {
        review.push(Review::ScaleOutside);
    }
    review
}

fn confidence(
    method: Method,
    shape: &Shape,
    score: Option<MethodScore>,
    review: &[Review],
) -> Confidence {
    let class = match (method, score) {
        (Method::OutageZero | Method::Check | Method::Edit, _) => ConfidenceClass::A,
        (_, Some(score)) => ConfidenceClass::of_error(score.mape_milli),
        (Method::Linear | Method::LikeMean, None) => ConfidenceClass::B,
        (Method::LikeOne | Method::PreviousYear, None) => ConfidenceClass::C,
        _ => ConfidenceClass::D,
    };
    let floor = if shape.one_sided {
        ConfidenceClass::D
    } else if method == Method::LikeOne || !review.is_empty() {
        ConfidenceClass::C
    } else {
        ConfidenceClass::A
    };
    Confidence {
        class: class.max(floor),
        p10: None,
        p90: None,
        error_milli: score.map(|score| score.mape_milli),
        bias_milli: score.map(|score| score.bias_milli),
    }
}

/// The bounds of the sum: exact when the register fixes it, else by the back-test's quantiles.
fn finish(estimate: &mut Estimate, residual: Option<Residual>) {
    let total = estimate.total();
    let of = |milli: i32| {
        i64::try_from(super::share::half_up(total.saturating_mul(i128::from(milli)), 1000)).ok()
    };
    let chosen = estimate.alternatives.iter().find(|trial| trial.chosen);
    let score = chosen.and_then(|trial| trial.score).filter(|score| score.tests >= TESTS_MIN);
    let whole = i64::try_from(total).ok();
    (estimate.confidence.p10, estimate.confidence.p90) = match score {
        _ if residual.is_some() => (whole, whole),
        Some(score) => (of(score.p10_milli), of(score.p90_milli)),
        None => (None, None),
    };
}
