//! The engine's snapshot: state at one position of the log. Restoring it and replaying the tail
//! gives what a run without a break gives.

use metering::UtcTime;

use crate::alerts::{Active, AlertKey, Stage};
use crate::engine::{ByNumber, Engine};
use crate::env::Env;
use crate::groups::Group;
use crate::params::Params;
use crate::snapshot::{Reader, Snap, SnapshotError, Writer, snap_by, snap_struct};
use crate::timer::TimerKey;

snap_struct!(AlertKey { subject, rule, channel });
snap_struct!(Active {
    cause,
    severity,
    start,
    commodity,
    annunciated,
    parent,
    until,
    mark,
    stage,
    clear_end,
    due,
});
snap_by!(Stage, u8, |stage: Stage| stage as u8, |number| match number {
    0 => Some(Stage::Pending),
    1 => Some(Stage::Live),
    2 => Some(Stage::Shadow),
    _ => None,
});

impl Snap for TimerKey {
    fn save(&self, to: &mut Writer) {
        let kind: u8 = match self {
            Self::Headend => 0,
            Self::DayClose { .. } => 1,
            Self::Silence { .. } => 2,
            Self::Collector { .. } => 3,
            Self::Child { .. } => 4,
            Self::Battery { .. } => 5,
            Self::Variance { .. } => 6,
            Self::Annunciate { .. } => 7,
            Self::Daily => 40,
            Self::Dark { .. } => 41,
            Self::TestMode { .. } => 42,
            Self::Look { .. } => 30,
        };
        kind.save(to);
        match self {
            Self::Headend | Self::Daily => {}
            Self::Dark { meter } | Self::TestMode { meter } => meter.save(to),
            Self::DayClose { meter, channel } => (*meter, *channel).save(to),
            Self::Silence { meter } | Self::Child { meter } | Self::Battery { meter } => {
                meter.save(to);
            }
            Self::Collector { collector } => collector.save(to),
            Self::Variance { group, day } => {
                group.save(to);
                day.save(to);
            }
            Self::Annunciate { meter, rule, channel } => {
                meter.save(to);
                rule.save(to);
                channel.save(to);
            }
            Self::Look { meter, rule } => (*meter, *rule).save(to),
        }
    }

    fn load(from: &mut Reader<'_>) -> Result<Self, SnapshotError> {
        Ok(match u8::load(from)? {
            0 => Self::Headend,
            1 => {
                let (meter, channel) = <(u32, u8)>::load(from)?;
                Self::DayClose { meter, channel }
            }
            2 => Self::Silence { meter: u32::load(from)? },
            3 => Self::Collector { collector: u32::load(from)? },
            4 => Self::Child { meter: u32::load(from)? },
            5 => Self::Battery { meter: u32::load(from)? },
            6 => Self::Variance { group: u16::load(from)?, day: i32::load(from)? },
            7 => Self::Annunciate {
                meter: Snap::load(from)?,
                rule: Snap::load(from)?,
                channel: i16::load(from)?,
            },
            40 => Self::Daily,
            41 => Self::Dark { meter: u32::load(from)? },
            42 => Self::TestMode { meter: u32::load(from)? },
            30 => {
                let (meter, rule) = <(u32, u8)>::load(from)?;
                Self::Look { meter, rule }
            }
            _ => return Err(SnapshotError::Damaged),
        })
    }
}

impl Engine {
    /// Canonical bytes: schema version, hash of the parameters, log position, state, CRC-32C.
    pub fn snapshot(&self) -> Vec<u8> {
        let env = &self.env;
        let mut to = Writer::start(&env.active.base().hash());
        env.active.save(&mut to);
        env.custom.save(&mut to);
        self.next_seq.save(&mut to);
        env.at.micros().save(&mut to);
        env.now.save(&mut to);
        env.before.save(&mut to);
        env.watch.save(&mut to);
        env.crowd.save(&mut to);
        env.premises.save(&mut to);
        env.network.save(&mut to);
        env.verdicts.save(&mut to);
        env.registers.save(&mut to);
        env.zones.names().save(&mut to);
        env.groups.all.save(&mut to);
        to.unsigned(env.book.iter().count() as u64);
        for (key, active) in env.book.iter() {
            key.save(&mut to);
            active.save(&mut to);
        }
        to.unsigned(env.book.resting.len() as u64);
        for (key, until) in &env.book.resting {
            key.save(&mut to);
            until.save(&mut to);
        }
        env.book.leaks.save(&mut to);
        env.book.notices.save(&mut to);
        env.book.rates.save(&mut to);
        to.unsigned(env.timers.len() as u64);
        for (due, key) in env.timers.iter() {
            due.save(&mut to);
            key.save(&mut to);
        }
        self.collectors.save(&mut to);
        self.meters.save(&mut to);
        to.finish()
    }

    /// The engine as it was, with the same parameters.
    ///
    /// # Errors
    /// [`SnapshotError`] when the bytes are damaged, of another layout or of other parameters; the
    /// log must be replayed then.
    pub fn restore(params: Params, bytes: &[u8]) -> Result<Self, SnapshotError> {
        let mut from = Reader::start(bytes, &params.hash())?;
        let mut env = Env::new(params);
        env.active.load(&mut from)?;
        env.custom = Snap::load(&mut from)?;
        let next_seq = i64::load(&mut from)?;
        env.at = UtcTime::from_micros(i64::load(&mut from)?);
        env.now = i64::load(&mut from)?;
        env.before = i64::load(&mut from)?;
        env.watch = Snap::load(&mut from)?;
        env.crowd = Snap::load(&mut from)?;
        env.premises = Snap::load(&mut from)?;
        env.network = Snap::load(&mut from)?;
        env.verdicts = Snap::load(&mut from)?;
        env.registers = Snap::load(&mut from)?;
        for name in Vec::<String>::load(&mut from)? {
            env.zones.number_of(&name);
        }
        env.groups.all = Vec::<Group>::load(&mut from)?;
        for _ in 0..from.count()? {
            let key = AlertKey::load(&mut from)?;
            env.book.restore(key, Active::load(&mut from)?);
        }
        for _ in 0..from.count()? {
            let key = AlertKey::load(&mut from)?;
            env.book.resting.insert(key, i64::load(&mut from)?);
        }
        env.book.leaks = Snap::load(&mut from)?;
        env.book.notices = Snap::load(&mut from)?;
        env.book.rates = Snap::load(&mut from)?;
        for _ in 0..from.count()? {
            let due = i64::load(&mut from)?;
            env.timers.set(due, TimerKey::load(&mut from)?);
        }
        env.use_params(env.active.of_all());
        let mut this = Self::new(Params::clone(env.active.base()));
        this.collectors = Snap::load(&mut from)?;
        this.meters = Snap::load(&mut from)?;
        from.finish()?;
        env.fleet = u32::try_from(this.meters.len()).map_err(|_| SnapshotError::Damaged)?;
        this.meter_places = places(this.meters.iter().map(|meter| meter.id))?;
        this.collector_places = places(this.collectors.iter().map(|collector| collector.id))?;
        this.env = env;
        this.next_seq = next_seq;
        this.assign_rules();
        Ok(this)
    }
}

fn places<K: std::hash::Hash + Eq>(
    ids: impl Iterator<Item = K>,
) -> Result<ByNumber<K>, SnapshotError> {
    let mut places = ByNumber::default();
    for (place, id) in ids.enumerate() {
        let place = u32::try_from(place).map_err(|_| SnapshotError::Damaged)?;
        if places.insert(id, place).is_some() {
            return Err(SnapshotError::Damaged);
        }
    }
    Ok(places)
}
