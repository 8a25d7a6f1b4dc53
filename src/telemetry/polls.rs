//! The counters of polled gateways, summed: a gateway's name is no label, the console shows each.

use protocols::modbus::{Counts, GatewayHealth, UnitState};

use super::sampled::Sample;

fn count(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

pub(super) fn samples(gateways: &[GatewayHealth]) -> Vec<Sample> {
    let sum = |of: fn(&Counts) -> u64| gateways.iter().map(|gateway| of(&gateway.counts)).sum();
    let connected = gateways.iter().filter(|gateway| gateway.connected).count();
    let requests = |outcome, of| Sample::counter("ami_modbus_requests_total", [outcome], sum(of));
    let connections =
        |outcome, of| Sample::counter("ami_modbus_connections_total", [outcome], sum(of));
    let mut samples = vec![
        Sample::gauge("ami_modbus_gateways", ["connected"], count(connected)),
        Sample::gauge("ami_modbus_gateways", ["away"], count(gateways.len() - connected)),
        Sample::counter("ami_modbus_polls_total", [], sum(|c| c.polls)),
        requests("answered", |c| c.answers - c.exceptions.min(c.answers)),
        requests("exception", |c| c.exceptions),
        requests("timeout", |c| c.timeouts),
        requests("wrong_answer", |c| c.wrong_answers),
        connections("made", |c| c.connections),
        connections("failed", |c| c.connection_failures),
        Sample::counter("ami_modbus_implausible_total", [], sum(|c| c.implausible)),
    ];
    for state in UnitState::ALL {
        let units = gateways.iter().flat_map(|gateway| &gateway.units);
        let so_many = units.filter(|unit| unit.state == state).count();
        samples.push(Sample::gauge("ami_modbus_units", [state.word()], count(so_many)));
    }
    samples
}
