//! Which promotions were at work when, and under which keys they acted, by what the record said before they did. Only
//! the newest are held: whoever asks is about to count what has just happened.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use lockstep_core::domain::promotion::machine::attempt::{IdempotencyToken, PromotionName};
use lockstep_core::domain::promotion::proof::explanation::Acted;

use super::facts::Where;

/// Keys that are held in all.
const KEYS: usize = 20_000;
/// Promotions that are held for each environment.
const PROMOTIONS: usize = 64;

#[derive(Debug, Default)]
pub(super) struct Trail {
    /// With the entry that announced it last.
    tried: BTreeMap<IdempotencyToken, (u64, PromotionName)>,
    /// In the order of their entries, to forget the oldest.
    order: BTreeMap<u64, IdempotencyToken>,
    acted: BTreeMap<Where, BTreeMap<PromotionName, Span>>,
}

/// From the first step to the end, each as far as it was heard of: entries come in any order.
#[derive(Debug, Default)]
struct Span {
    since: Option<Timestamp>,
    until: Option<Timestamp>,
}

impl Trail {
    pub(super) fn announced(
        &mut self,
        seq: u64,
        at: &Where,
        promotion: &PromotionName,
        token: IdempotencyToken,
        time: Timestamp,
    ) {
        let tried = self
            .tried
            .entry(token.clone())
            .or_insert((seq, promotion.clone()));
        tried.0 = tried.0.max(seq);
        self.order.insert(seq, token);
        if self.order.len() > KEYS
            && let Some((seq, oldest)) = self.order.pop_first()
            && self.tried.get(&oldest).is_some_and(|(last, _)| *last == seq)
        {
            self.tried.remove(&oldest);
        }
        let span = self.span(at, promotion);
        span.since = Some(span.since.map_or(time, |since| since.min(time)));
        self.forget(at);
    }

    pub(super) fn ended(&mut self, at: &Where, promotion: &PromotionName, time: Timestamp) {
        let span = self.span(at, promotion);
        span.until = Some(span.until.map_or(time, |until| until.max(time)));
        self.forget(at);
    }

    fn span(&mut self, at: &Where, promotion: &PromotionName) -> &mut Span {
        let all = self.acted.entry(at.clone()).or_default();
        all.entry(promotion.clone()).or_default()
    }

    fn forget(&mut self, at: &Where) {
        let Some(all) = self.acted.get_mut(at).filter(|all| all.len() > PROMOTIONS) else {
            return;
        };
        let oldest = all.iter().min_by_key(|(_, span)| span.since.or(span.until));
        if let Some(oldest) = oldest.map(|(name, _)| name.clone()) {
            all.remove(&oldest);
        }
    }

    pub(super) fn of(
        &self,
        tokens: &BTreeSet<IdempotencyToken>,
    ) -> BTreeMap<IdempotencyToken, PromotionName> {
        tokens
            .iter()
            .filter_map(|token| Some((token.clone(), self.tried.get(token)?.1.clone())))
            .collect()
    }

    pub(super) fn acted_in(&self, at: &Where) -> Vec<Acted> {
        let all = self.acted.get(at).into_iter().flatten();
        all.filter_map(|(promotion, span)| {
            Some(Acted {
                promotion: promotion.clone(),
                since: span.since?,
                until: span.until,
            })
        })
        .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at() -> Where {
        ("uid".into(), "prod".into())
    }

    fn time(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn name(number: usize) -> PromotionName {
        PromotionName(format!("p{number}"))
    }

    fn token(number: usize) -> IdempotencyToken {
        IdempotencyToken(format!("t{number}"))
    }

    #[test]
    fn whoever_hears_the_end_first_knows_the_whole_time() {
        let mut trail = Trail::default();
        trail.ended(&at(), &name(1), time(20));
        assert_eq!(trail.acted_in(&at()), []);
        trail.announced(2, &at(), &name(1), token(2), time(12));
        trail.announced(1, &at(), &name(1), token(1), time(10));
        let acted = Acted {
            promotion: name(1),
            since: time(10),
            until: Some(time(20)),
        };
        assert_eq!(trail.acted_in(&at()), [acted]);
    }

    #[test]
    fn the_oldest_are_forgotten() {
        let mut trail = Trail::default();
        let count = KEYS + 10;
        for n in 0..count {
            let seq = u64::try_from(n).unwrap();
            let second = i64::try_from(n).unwrap();
            trail.announced(seq, &at(), &name(n), token(n), time(second));
        }
        assert_eq!(trail.acted_in(&at()).len(), PROMOTIONS);
        let asked = BTreeSet::from([token(0), token(count - 1)]);
        let known: Vec<IdempotencyToken> = trail.of(&asked).into_keys().collect();
        assert_eq!(known, [token(count - 1)]);
        // What is announced again is as new as that.
        let again = u64::try_from(count).unwrap();
        trail.announced(again, &at(), &name(10), token(10), time(0));
        for n in 0..5 {
            let seq = again + 1 + u64::try_from(n).unwrap();
            trail.announced(seq, &at(), &name(n), token(n), time(0));
        }
        assert!(trail.of(&BTreeSet::from([token(10)])).contains_key(&token(10)));
    }
}
