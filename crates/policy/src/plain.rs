//! The plain part of conditions: a comparison of an argument, an hour or the caller's address with a constant is
//! answered here, without making Cedar's context and values for it, which costs ten times as much.
//!
//! INVARIANT: an answer is the one Cedar gives. Whatever is not plainly so (an attribute that is missing, two
//! types that differ, an expression of another kind) has no answer here, and Cedar evaluates it
//! (`decisions_are_cedars_save_that_an_error_denies` holds the two against each other).

use crate::Zone;
use crate::condition::path;
use crate::context::{Arguments, Datum};
use crate::environment::{Clockwork, Environment};
use cedar_policy::pst::{BinaryOp, Expr, Literal, PatternElem, UnaryOp};
use cedar_policy_core::ast::{Pattern, PatternElem as Element};
use std::cell::OnceCell;
use std::net::IpAddr;

/// A condition in the forms that are answered here.
#[derive(Clone, Debug)]
pub(crate) enum Plain {
    Known(bool),
    Has(Path),
    /// A boolean argument by itself.
    Holds(Path),
    Compare(Fact, Comparison, i64),
    Equal(Path, Constant),
    Like(Path, Pattern),
    OneOf(Path, Vec<Box<str>>),
    Contains(Path, Box<str>),
    Within(Network),
    Not(Box<Plain>),
    And(Box<Plain>, Box<Plain>),
    Or(Box<Plain>, Box<Plain>),
}

/// Names below `context.args`.
type Path = Vec<Box<str>>;

/// A whole number of the call.
#[derive(Clone, Debug)]
pub(crate) enum Fact {
    Argument(Path),
    Hour,
    Minute,
    Weekday,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Comparison {
    Less,
    LessEq,
    Greater,
    GreaterEq,
}

#[derive(Clone, Debug)]
pub(crate) enum Constant {
    Boolean(bool),
    Long(i64),
    Text(Box<str>),
}

/// A range of addresses of one family, both ends in it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Network {
    first: IpAddr,
    last: IpAddr,
}

/// What a call is judged by. The time is looked up in its zone when it is first asked for.
pub(crate) struct Facts<'a> {
    arguments: &'a Arguments<'a>,
    environment: &'a Environment<'a>,
    zone: &'a Zone,
    time: OnceCell<Clockwork<'a>>,
}

impl<'a> Facts<'a> {
    pub(crate) fn new(
        arguments: &'a Arguments<'a>,
        environment: &'a Environment<'a>,
        zone: &'a Zone,
    ) -> Self {
        Self { arguments, environment, zone, time: OnceCell::new() }
    }

    fn time(&self) -> &Clockwork<'a> {
        self.time.get_or_init(|| Clockwork::at(self.environment.now, self.zone))
    }

    fn argument(&self, path: &[Box<str>]) -> Option<&Datum<'a>> {
        let (last, way) = path.split_last()?;
        let mut record = self.arguments;
        for name in way {
            let Datum::Record(inner) = record.get(name)? else { return None };
            record = inner;
        }
        record.get(last)
    }

    /// Whether the last name of the path is there, if all before it are.
    fn has(&self, path: &[Box<str>]) -> Option<bool> {
        let (last, way) = path.split_last()?;
        if way.is_empty() {
            return Some(self.arguments.get(last).is_some());
        }
        let Datum::Record(record) = self.argument(way)? else { return None };
        Some(record.get(last).is_some())
    }

    fn number(&self, fact: &Fact) -> Option<i64> {
        match fact {
            Fact::Argument(path) => match self.argument(path)? {
                Datum::Long(number) => Some(*number),
                _ => None,
            },
            Fact::Hour => Some(self.time().hour()),
            Fact::Minute => Some(self.time().minute()),
            Fact::Weekday => Some(self.time().weekday()),
        }
    }

    fn text(&self, path: &[Box<str>]) -> Option<&str> {
        match self.argument(path)? {
            Datum::Text(text) => Some(text),
            _ => None,
        }
    }
}

impl Plain {
    /// Whether the condition holds; nothing if that is not plain.
    pub(crate) fn answer(&self, facts: &Facts<'_>) -> Option<bool> {
        match self {
            Self::Known(known) => Some(*known),
            Self::Has(path) => facts.has(path),
            Self::Holds(path) => match facts.argument(path)? {
                Datum::Boolean(holds) => Some(*holds),
                _ => None,
            },
            Self::Compare(fact, comparison, with) => Some(comparison.holds(facts.number(fact)?, *with)),
            Self::Equal(path, constant) => match (facts.argument(path)?, constant) {
                (Datum::Boolean(value), Constant::Boolean(with)) => Some(value == with),
                (Datum::Long(value), Constant::Long(with)) => Some(value == with),
                (Datum::Text(value), Constant::Text(with)) => Some(**value == **with),
                _ => None,
            },
            Self::Like(path, pattern) => Some(pattern.wildcard_match(facts.text(path)?)),
            Self::OneOf(path, texts) => {
                let text = facts.text(path)?;
                Some(texts.iter().any(|one| **one == *text))
            }
            Self::Contains(path, text) => match facts.argument(path)? {
                Datum::Set(items) if items.iter().all(|item| matches!(item, Datum::Text(_))) => {
                    Some(items.iter().any(|item| matches!(item, Datum::Text(item) if **item == **text)))
                }
                _ => None,
            },
            Self::Within(network) => Some(network.contains(facts.environment.ip)),
            Self::Not(inner) => inner.answer(facts).map(|holds| !holds),
            Self::And(left, right) => {
                if left.answer(facts)? {
                    right.answer(facts)
                } else {
                    Some(false)
                }
            }
            Self::Or(left, right) => {
                if left.answer(facts)? {
                    Some(true)
                } else {
                    right.answer(facts)
                }
            }
        }
    }

    /// The plain form of an expression, if it has one.
    pub(crate) fn of(expr: &Expr) -> Option<Self> {
        if let Some(path) = argument(expr) {
            return Some(Self::Holds(path));
        }
        match expr {
            Expr::Literal(Literal::Bool(known)) => Some(Self::Known(*known)),
            Expr::UnaryOp { op: UnaryOp::Not, expr } => Some(Self::Not(Box::new(Self::of(expr)?))),
            Expr::BinaryOp { op: BinaryOp::And, left, right } => {
                Some(Self::And(Box::new(Self::of(left)?), Box::new(Self::of(right)?)))
            }
            Expr::BinaryOp { op: BinaryOp::Or, left, right } => {
                Some(Self::Or(Box::new(Self::of(left)?), Box::new(Self::of(right)?)))
            }
            Expr::BinaryOp { op, left, right } => Self::binary(*op, left, right),
            Expr::HasAttr { expr, attrs } => {
                let mut names = path(expr)?;
                let mut asked = Vec::new();
                for attr in attrs.iter() {
                    names.push(attr.as_str());
                    asked.push(Self::Has(below_args(&names).filter(|path| !path.is_empty())?));
                }
                // `has a.b` is `has a` and then `has b` of it.
                asked.into_iter().reduce(|left, right| Self::And(Box::new(left), Box::new(right)))
            }
            Expr::Like { expr, pattern } => {
                let elements = pattern.iter().map(|element| match element {
                    PatternElem::Char(character) => Element::Char(*character),
                    PatternElem::Wildcard => Element::Wildcard,
                });
                Some(Self::Like(argument(expr)?, Pattern::from(elements.collect::<Vec<_>>())))
            }
            _ => None,
        }
    }

    fn binary(op: BinaryOp, left: &Expr, right: &Expr) -> Option<Self> {
        let compare = |comparison: Comparison| {
            if let Expr::Literal(Literal::Long(with)) = right {
                return Some(Self::Compare(Fact::of(left)?, comparison, *with));
            }
            let Expr::Literal(Literal::Long(with)) = left else { return None };
            Some(Self::Compare(Fact::of(right)?, comparison.turned(), *with))
        };
        let equal = || {
            let (path, literal) = match argument(left) {
                Some(path) => (path, right),
                None => (argument(right)?, left),
            };
            let constant = match literal {
                Expr::Literal(Literal::Bool(value)) => Constant::Boolean(*value),
                Expr::Literal(Literal::Long(value)) => Constant::Long(*value),
                Expr::Literal(Literal::String(value)) => Constant::Text(value.as_str().into()),
                _ => return None,
            };
            Some(Self::Equal(path, constant))
        };
        match op {
            BinaryOp::Less => compare(Comparison::Less),
            BinaryOp::LessEq => compare(Comparison::LessEq),
            BinaryOp::Greater => compare(Comparison::Greater),
            BinaryOp::GreaterEq => compare(Comparison::GreaterEq),
            BinaryOp::Eq => equal(),
            BinaryOp::NotEq => equal().map(|equal| Self::Not(Box::new(equal))),
            BinaryOp::Contains => {
                if let Expr::Set(items) = left {
                    let items: Option<Vec<Box<str>>> = items.iter().map(|item| text(item)).collect();
                    return Some(Self::OneOf(argument(right)?, items.filter(|items| !items.is_empty())?));
                }
                Some(Self::Contains(argument(left)?, text(right)?))
            }
            BinaryOp::IsInRange => within(left, right),
            _ => None,
        }
    }
}

impl Fact {
    fn of(expr: &Expr) -> Option<Self> {
        match path(expr)?.as_slice() {
            ["time", "hour"] => Some(Self::Hour),
            ["time", "minute"] => Some(Self::Minute),
            ["time", "weekday"] => Some(Self::Weekday),
            _ => argument(expr).map(Self::Argument),
        }
    }
}

impl Comparison {
    fn holds(self, value: i64, with: i64) -> bool {
        match self {
            Self::Less => value < with,
            Self::LessEq => value <= with,
            Self::Greater => value > with,
            Self::GreaterEq => value >= with,
        }
    }

    /// The same with its sides changed.
    fn turned(self) -> Self {
        match self {
            Self::Less => Self::Greater,
            Self::LessEq => Self::GreaterEq,
            Self::Greater => Self::Less,
            Self::GreaterEq => Self::LessEq,
        }
    }
}

impl Network {
    /// Reads an address, or an address and the length of its prefix.
    fn parse(text: &str) -> Option<Self> {
        let (address, length) = match text.split_once('/') {
            Some((address, length)) => (address, Some(length.parse::<u32>().ok()?)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().ok()?;
        let bits = if address.is_ipv4() { 32 } else { 128 };
        let free = bits - length.unwrap_or(bits).min(bits);
        (length.is_none_or(|length| length <= bits)).then(|| match address {
            IpAddr::V4(address) => {
                let host = u32::MAX.checked_shr(32 - free).unwrap_or(0);
                let first = address.to_bits() & !host;
                Self { first: IpAddr::V4(first.into()), last: IpAddr::V4((first | host).into()) }
            }
            IpAddr::V6(address) => {
                let host = u128::MAX.checked_shr(128 - free).unwrap_or(0);
                let first = address.to_bits() & !host;
                Self { first: IpAddr::V6(first.into()), last: IpAddr::V6((first | host).into()) }
            }
        })
    }

    fn contains(&self, address: IpAddr) -> bool {
        // Addresses of different families are ordered too, but never between two of the other.
        address.is_ipv4() == self.first.is_ipv4() && self.first <= address && address <= self.last
    }
}

/// `context.network.ip.isInRange(ip("…"))`.
fn within(left: &Expr, right: &Expr) -> Option<Plain> {
    let Expr::UnaryOp { op: UnaryOp::Ip, expr } = right else { return None };
    let asked = path(left)?.as_slice() == ["network", "ip"];
    Network::parse(&text(expr)?).filter(|_| asked).map(Plain::Within)
}

fn text(expr: &Expr) -> Option<Box<str>> {
    match expr {
        Expr::Literal(Literal::String(text)) => Some(text.as_str().into()),
        _ => None,
    }
}

/// `context.args.a.b` as `[a, b]`.
fn argument(expr: &Expr) -> Option<Path> {
    below_args(&path(expr)?).filter(|path| !path.is_empty())
}

fn below_args(names: &[&str]) -> Option<Path> {
    let (first, rest) = names.split_first()?;
    (*first == "args").then(|| rest.iter().map(|name| (*name).into()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(condition: &str) -> Option<Plain> {
        let policy: cedar_policy::Policy =
            format!("permit (principal, action, resource) when {{ {condition} }};").parse().unwrap();
        match policy.to_pst().unwrap().body().clauses().first() {
            Some(cedar_policy::pst::Clause::When(expr)) => Plain::of(expr),
            _ => panic!("no condition in {condition}"),
        }
    }

    #[test]
    fn common_conditions_are_plain() {
        for condition in [
            "context.args has amount && context.args.amount > 1000000",
            r#"context.args has path && context.args.path like "/secret/*""#,
            "context.args has options && context.args.options has nested && context.args.options.nested.priority > 9",
            "context.args has options.nested.priority",
            r#"context.network.ip.isInRange(ip("203.0.113.0/24"))"#,
            r#"["main", "release"].contains(context.args.branch) || !(context.args.force)"#,
            r#"context.args.labels.contains("urgent") && "x" != context.args.kind"#,
            "8 <= context.time.hour && context.time.hour < 18 && context.time.weekday <= 5",
        ] {
            assert!(plain(condition).is_some(), "{condition}");
        }
    }

    #[test]
    fn what_is_not_plain_is_left_to_cedar() {
        for condition in [
            "context.args.amount + 1 > 3",
            "context.args.user == principal.user",
            "context.args.amount < context.args.limit",
            "principal.roles.containsAny(context.args.tags)",
            "[1, 2].contains(context.args.amount)",
            "if context.args.force then true else false",
            r#"context.network.ip.isInRange(ip("203.0.113.0/240"))"#,
            r#"context.time.date == "2026-11-25""#,
            "context has args",
        ] {
            assert!(plain(condition).is_none(), "{condition}");
        }
    }

    #[test]
    fn networks_end_where_their_prefix_says() {
        for (network, inside, outside) in [
            ("10.0.0.0/8", "10.255.255.255", "11.0.0.0"),
            ("10.9.8.7/8", "10.0.0.0", "9.255.255.255"),
            ("192.0.2.1", "192.0.2.1", "192.0.2.2"),
            ("0.0.0.0/0", "255.255.255.255", "::1"),
            ("::/0", "ffff::", "10.0.0.1"),
            ("2001:db8::/33", "2001:db8:7fff::1", "2001:db8:8000::"),
        ] {
            let network = Network::parse(network).unwrap();
            assert!(network.contains(inside.parse().unwrap()), "{inside}");
            assert!(!network.contains(outside.parse().unwrap()), "{outside}");
        }
        for bad in ["", "10.0.0.0/33", "10.0.0/8", "::/129", "a", "10.0.0.0/x", "10.0.0.0/"] {
            assert!(Network::parse(bad).is_none(), "{bad}");
        }
    }
}
