use super::*;

fn at(second: i64) -> UtcTime {
    UtcTime::from_seconds(second)
}

/// Contacts as second, seconds ahead and what is usual; tells what each one says.
fn judged(contacts: &[(i64, i64, Option<i64>)]) -> Vec<Option<i64>> {
    let mut skew = Skew::default();
    let params = Params::default();
    let one = |(second, ahead_s, usual_s): &(i64, i64, Option<i64>)| {
        let contact =
            Contact { received_at: at(*second), ahead_s: *ahead_s, usual_s: *usual_s, change_s: 0 };
        skew.contact(contact, &params).ahead_s
    };
    contacts.iter().map(one).collect()
}

/// Hourly contacts that are off by the same, with peers that are late by `usual_s`.
fn hourly(ahead_s: i64, usual_s: Option<i64>, count: i64) -> Vec<(i64, i64, Option<i64>)> {
    (0..count).map(|hour| (hour * 3_600, ahead_s, usual_s)).collect()
}

#[test]
fn a_clock_behind_is_told_at_the_fourth_contact_that_agrees() {
    let told = judged(&hourly(-600, Some(2), 5));
    assert_eq!(told, [None, None, None, Some(-598), Some(-598)]);
}

#[test]
fn what_all_are_late_by_is_nobodys_clock() {
    assert_eq!(judged(&hourly(-2_700, Some(2_690), 5)), [Some(-10); 5]);
    assert_eq!(judged(&hourly(-2_700, None, 9)), [None; 9]);
}

#[test]
fn a_backlog_is_late_by_something_else_each_time() {
    let drained: Vec<_> = (0..8).map(|n| (n * 700, n * 700 - 9_000, Some(1))).collect();
    assert_eq!(judged(&drained), [None; 8]);
    let at_once = [(0, -10_800, Some(1)), (1, -7_201, Some(1)), (2, -3_602, Some(1))];
    assert_eq!(judged(&at_once), [None; 3]);
    let copies: Vec<_> = (0..9).map(|n| (n, -500 - n, Some(1))).collect();
    assert_eq!(judged(&copies), [None; 9]);
}

#[test]
fn a_wrong_clock_stays_wrong_until_two_contacts_are_right() {
    let mut contacts = vec![(0, 400, None), (3_600, -5_000, None), (7_200, 20, None)];
    contacts.extend([(7_300, 10, None), (7_400, 5, None)]);
    let told = judged(&contacts);
    assert_eq!(told[..3], [Some(400), Some(400), Some(400)]);
    assert!(told[3].unwrap() < 30 && told[4].unwrap() < 30, "{told:?}");
}

#[test]
fn a_clock_that_gains_forty_seconds_a_day_is_told_within_four_days() {
    let (mut skew, params) = (Skew::default(), Params::default());
    let mut news = Vec::new();
    for hour in 0..24 * 5 {
        let ahead_s = hour * 40 / 24 - hour % 3;
        let contact =
            Contact { received_at: at(hour * 3_600), ahead_s, usual_s: Some(1), change_s: 0 };
        let judged = skew.contact(contact, &params);
        news.extend(judged.news.map(|news| (hour / 24, news)));
    }
    assert!(matches!(news[0], (4, News::Drifts(38..=42))), "{news:?}");
    // A quartz of 30 ppm is in order.
    let mut skew = Skew::default();
    for hour in 0..24 * 30 {
        let (received_at, ahead_s) = (at(hour * 3_600), -hour * 26 / 240);
        let contact = Contact { received_at, ahead_s, usual_s: Some(1), change_s: 0 };
        assert!(!skew.contact(contact, &params).drifts, "hour {hour}");
    }
}

#[test]
fn off_by_an_hour_after_the_change_is_configuration() {
    let (mut skew, params) = (Skew::default(), Params::default());
    let mut contact = |hour: i64, ahead_s: i64| {
        let received_at = at(hour * 3_600);
        skew.contact(Contact { received_at, ahead_s, usual_s: None, change_s: 3_600 }, &params)
    };
    let first = contact(0, 3_598);
    assert_eq!((first.ahead_s, first.news), (None, Some(News::Shifted(3_598))));
    assert_eq!(contact(1, 3_598), Judged::default());
    contact(2, 3);
    assert_eq!(contact(3, 3).news, Some(News::ShiftedBack));
}

#[test]
fn usual_is_known_among_peers_that_are_alike() {
    assert_eq!(usual(&mut [1, 2, 3, 2, 1], 60), None);
    assert_eq!(usual(&mut [1, 2, 900, 2, 1, 3, 2, 1, 2, 1], 60), Some(2));
    assert_eq!(usual(&mut [0, 900, 1_800, 2_700, 0, 900, 1_800, 2_700], 60), None);
    let mut ring = Ring::default();
    for n in 0..200 {
        ring.note(MeterId::new(n % 7), if n % 7 == 3 { 700 } else { 5 });
    }
    assert_eq!(ring.usual_but(MeterId::new(3), 60), Some(5));
    let mut same = Ring::default();
    (0..64).for_each(|_| same.note(MeterId::new(1), 5));
    assert_eq!(same.usual_but(MeterId::new(2), 60), None);
}

#[test]
fn when_most_devices_are_ahead_it_is_our_clock() {
    let mut own = OwnClock::default();
    let begins: Vec<i32> = (0..40).filter(|n| own.note(MeterId::new(*n), 300, 60)).collect();
    assert_eq!((begins, own.is_wrong), (vec![11], true));
    let ends: Vec<i32> = (0..40).filter(|n| own.note(MeterId::new(*n), 1, 60)).collect();
    assert_eq!((ends.len(), own.is_wrong), (1, false));
    // One device that talks all the time is one device.
    assert!((0..99).all(|_| !own.note(MeterId::new(1), 300, 60)));
}
