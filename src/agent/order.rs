//! Orders of the hub as they come in its answers: bytes from outside until they are read here.

use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;

use super::allow::{WORD_BYTES_MAX, WORDS_MAX};

/// Of one answer; the hub keeps fewer for a host.
const ORDERS_MAX: usize = 64;
const ID_BYTES_MAX: usize = 100;
/// Longer time limits are refused.
const WITHIN_MS_MAX: u64 = 24 * 60 * 60 * 1000;

/// What the hub wants of this host now; each answer says all of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Orders {
    pub orders: Vec<Order>,
    /// Ids of those under way that are to end.
    pub stop: Vec<Arc<str>>,
}

/// One command. Its id is good for a path; what else is in it, [`Order::limits`] judges.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
pub struct Order {
    pub id: Arc<str>,
    pub run: u64,
    pub step: u16,
    pub attempt: u32,
    /// Program and arguments.
    pub argv: Vec<Arc<str>>,
    pub within_ms: u64,
}

#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    orders: Vec<Order>,
    #[serde(default)]
    stop: Vec<Arc<str>>,
}

/// The orders of an answer; an older hub gives none.
///
/// # Errors
/// It is no answer of a hub. One bad order spoils all of them: whoever makes one is not to be believed in the others.
pub fn read(answer: &[u8]) -> Result<Orders, String> {
    let Answer { orders, stop } = serde_json::from_slice(answer).map_err(|error| error.to_string())?;
    if orders.len() > ORDERS_MAX || stop.len() > ORDERS_MAX {
        return Err(format!("more than {ORDERS_MAX} orders at once"));
    }
    let plain =
        |id: &str| (1..=ID_BYTES_MAX).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    if let Some(id) = orders.iter().map(|order| &order.id).chain(&stop).find(|id| !plain(id)) {
        let id: String = id.chars().take(ID_BYTES_MAX).collect();
        return Err(format!("{id:?} is no id of an order"));
    }
    Ok(Orders { orders, stop })
}

impl Order {
    /// Its time limit, if it keeps ours.
    ///
    /// # Errors
    /// Why it will not be run, for people.
    pub fn limits(&self) -> Result<Duration, String> {
        if self.argv.is_empty() || self.argv.len() > WORDS_MAX {
            return Err(format!("a command has 1 to {WORDS_MAX} words, not {}", self.argv.len()));
        }
        if let Some(word) = self.argv.iter().find(|word| word.len() > WORD_BYTES_MAX || word.contains('\0')) {
            let begin: String = word.chars().take(40).collect();
            return Err(format!("the word {begin:?}… is longer than {WORD_BYTES_MAX} bytes, or holds a NUL"));
        }
        if self.within_ms == 0 || self.within_ms > WITHIN_MS_MAX {
            return Err(format!("a time limit of {} ms is none, or longer than a day", self.within_ms));
        }
        Ok(Duration::from_millis(self.within_ms))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ANSWER: &str = r#"{"accepted":1,"repeated":false,"unknown":[],"orders":[{"id":"00f3-1","run":3,"step":2,
        "attempt":1,"argv":["systemctl","restart","httpd"],"within_ms":300000}],"stop":["00f3-0"]}"#;

    #[test]
    fn an_answer_without_orders_has_none_and_one_that_is_no_answer_is_refused() {
        let none = read(br#"{"accepted":1,"repeated":false,"unknown":[]}"#);
        assert_eq!(none, Ok(Orders::default()));
        let orders = read(ANSWER.as_bytes()).expect("an answer");
        assert_eq!((&*orders.orders[0].argv[2], &*orders.stop[0]), ("httpd", "00f3-0"));
        assert_eq!(orders.orders[0].limits(), Ok(Duration::from_secs(300)));
        for bad in ["", "ok", "7", r#"{"orders":[{}]}"#, r#"{"stop":["../x"]}"#, r#"{"stop":[""]}"#] {
            assert!(read(bad.as_bytes()).is_err(), "{bad}");
        }
        let many = format!(r#"{{"stop":[{}]}}"#, ["\"1\""; 65].join(","));
        assert!(read(many.as_bytes()).is_err());
    }

    #[test]
    fn an_order_beyond_the_limits_is_refused_with_the_limit() {
        let good = read(ANSWER.as_bytes()).expect("an answer").orders.remove(0);
        let long: Arc<str> = "x".repeat(WORD_BYTES_MAX + 1).into();
        let cases = [
            (Order { argv: Vec::new(), ..good.clone() }, "words"),
            (Order { argv: vec!["x".into(); WORDS_MAX + 1], ..good.clone() }, "words"),
            (Order { argv: vec!["x".into(), long], ..good.clone() }, "longer than 4096 bytes"),
            (Order { argv: vec!["x".into(), "a\0b".into()], ..good.clone() }, "NUL"),
            (Order { within_ms: 0, ..good.clone() }, "time limit"),
            (Order { within_ms: u64::MAX, ..good }, "time limit"),
        ];
        for (order, part) in cases {
            let refused = order.limits().expect_err(part);
            assert!(refused.contains(part), "{refused}");
        }
    }

    proptest! {
        /// Whatever the hub sends, what is read keeps the limits, and a cut answer is none.
        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200), id in "\\PC{0,8}",
            cut in 0..ANSWER.len()) {
            let _ = read(&bytes);
            prop_assert!(read(&ANSWER.as_bytes()[..cut]).is_err());
            let named = serde_json::json!({"orders": [], "stop": [id]}).to_string();
            if let Ok(orders) = read(named.as_bytes()) {
                prop_assert!(orders.stop[0].bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-'));
            }
        }
    }
}
