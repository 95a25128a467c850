//! Business services: what people call a service, by an expression over clouds, hosts, checks and each other.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::Expr;

/// One `[[business]]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Business {
    pub name: Arc<str>,
    /// Name for people; equal to `name` unless configured.
    pub display: Arc<str>,
    pub expression: Expr,
    /// The cloud that its component types belong to.
    pub cloud: Option<Arc<str>>,
    /// Percent of the time that it must be available.
    pub slo: Option<f64>,
}

/// The rows in an order in which each comes after those that it stands on, and the rows that stand on themselves.
pub fn order(businesses: &[Business]) -> (Vec<usize>, Vec<usize>) {
    let row: BTreeMap<&str, usize> = businesses.iter().enumerate().map(|(i, one)| (&*one.name, i)).collect();
    let needs: Vec<Vec<usize>> = businesses
        .iter()
        .map(|one| one.expression.businesses().iter().filter_map(|name| row.get(&**name).copied()).collect())
        .collect();
    let (mut order, mut placed) = (Vec::new(), vec![false; businesses.len()]);
    loop {
        let ready = |i: &usize| !placed[*i] && needs[*i].iter().all(|need| placed[*need]);
        let next: Vec<usize> = (0..businesses.len()).filter(ready).collect();
        if next.is_empty() {
            let circle = (0..businesses.len()).filter(|i| !placed[*i]).collect();
            return (order, circle);
        }
        next.iter().for_each(|i| placed[*i] = true);
        order.extend(next);
    }
}
