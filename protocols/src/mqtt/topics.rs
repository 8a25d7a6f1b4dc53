//! What is wanted from the broker; it may change while the connection lives.

use std::collections::VecDeque;

use rumqttc::v5::AsyncClient;
use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::{Filter, RetainForwardRule, SubscribeReasonCode};

use super::config::Subscription;

/// Wanted, asked for and granted.
#[derive(Debug, Default)]
pub(crate) struct Topics {
    /// Of the configuration; always wanted.
    fixed: Vec<Subscription>,
    wanted: Vec<Subscription>,
    /// Filters that are wanted no more and still held by the broker.
    ended: Vec<String>,
    /// What each SUBSCRIBE asked for that the broker has not answered.
    asked: VecDeque<Vec<Subscription>>,
    /// The broker does not know yet what is wanted.
    must_tell: bool,
}

impl Topics {
    pub(crate) fn new(fixed: &[Subscription]) -> Self {
        Self { fixed: fixed.to_vec(), wanted: fixed.to_vec(), ..Self::default() }
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.wanted.is_empty()
    }

    /// A new connection: everything is told again, since the session may be one of another
    /// configuration.
    pub(crate) fn connected(&mut self) {
        self.asked.clear();
        self.must_tell = !self.wanted.is_empty() || !self.ended.is_empty();
    }

    /// These beside those of the configuration.
    pub(crate) fn listen(&mut self, filters: &[String]) {
        let mut wanted = self.fixed.clone();
        for filter in filters {
            if wanted.iter().all(|known| known.filter != *filter) {
                wanted.push(Subscription { filter: filter.clone(), qos1: true });
            }
        }
        let gone = self.wanted.iter().filter(|old| !wanted.contains(old));
        self.ended.extend(gone.map(|old| old.filter.clone()));
        self.ended.retain(|filter| wanted.iter().all(|new| new.filter != *filter));
        if self.wanted != wanted || !self.ended.is_empty() {
            self.wanted = wanted;
            self.must_tell = true;
        }
    }

    /// True while something could not be told for want of room on the way to the broker.
    pub(crate) fn tell(&mut self, client: &AsyncClient) -> bool {
        if !self.must_tell {
            return false;
        }
        while let Some(filter) = self.ended.last() {
            if client.try_unsubscribe(filter.as_str()).is_err() {
                return true;
            }
            self.ended.pop();
        }
        let filters = self.wanted.iter().map(|wanted| {
            let qos = if wanted.qos1 { QoS::AtLeastOnce } else { QoS::AtMostOnce };
            Filter {
                // Stored copies are state, not readings: once per new subscription is enough.
                retain_forward_rule: RetainForwardRule::OnNewSubscribe,
                ..Filter::new(wanted.filter.as_str(), qos)
            }
        });
        if !self.wanted.is_empty() {
            if client.try_subscribe_many(filters).is_err() {
                return true;
            }
            self.asked.push_back(self.wanted.clone());
        }
        self.must_tell = false;
        false
    }

    /// The broker's answer to the oldest SUBSCRIBE: the filters that it refused. The library only
    /// logs them. `None`: it answered something else than was asked.
    pub(crate) fn granted(
        &mut self,
        codes: &[SubscribeReasonCode],
    ) -> Option<Vec<(String, SubscribeReasonCode)>> {
        let asked = self.asked.pop_front()?;
        if codes.len() != asked.len() {
            return None;
        }
        let enough = |wanted: &Subscription, code: &SubscribeReasonCode| match code {
            SubscribeReasonCode::Success(granted) => !wanted.qos1 || *granted != QoS::AtMostOnce,
            _ => false,
        };
        let refused = asked.into_iter().zip(codes).filter(|(wanted, code)| !enough(wanted, code));
        Some(refused.map(|(wanted, code)| (wanted.filter, *code)).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client() -> (AsyncClient, rumqttc::v5::EventLoop) {
        AsyncClient::new(rumqttc::v5::MqttOptions::new("t", "127.0.0.1", 1), 10)
    }

    #[test]
    fn filters_come_and_go_while_those_of_the_configuration_stay() {
        let fixed = Subscription { filter: "ami/#".to_owned(), qos1: true };
        let (client, _events) = client();
        let mut topics = Topics::new(&[fixed]);
        topics.connected();
        assert!(!topics.tell(&client));
        topics.listen(&["a/+".to_owned(), "ami/#".to_owned()]);
        assert!(topics.must_tell && topics.wanted.len() == 2);
        assert!(!topics.tell(&client));
        topics.listen(&["a/+".to_owned(), "ami/#".to_owned()]);
        assert!(!topics.must_tell, "nothing is new");
        topics.listen(&[]);
        assert_eq!(topics.ended, ["a/+"]);
        assert!(!topics.tell(&client) && topics.ended.is_empty());
        let yes = SubscribeReasonCode::Success(QoS::AtLeastOnce);
        let no = SubscribeReasonCode::NotAuthorized;
        assert_eq!(topics.granted(&[yes]).unwrap().len(), 0);
        let refused = topics.granted(&[yes, no]).unwrap();
        assert_eq!(refused[0].0, "a/+");
    }
}
