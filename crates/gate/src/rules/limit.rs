//! How much may pass: limits of requests, tokens, money and exchanges at once, and what models cost.
//!
//! Money is counted in whole millionths of a unit of the file's one currency, never in floating point.

use super::Route;
use super::destination::Destination;
use super::name::{Fault, Malformed, Name, Slug, Title, word};
use ledger::{ApiKeyId, Usage};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::str::FromStr;
use std::sync::Arc;

/// Limits of one file. Each is looked at for every request, so this bounds what one costs.
pub const MAX_LIMITS: usize = 64;

/// Prices of one file: more than anybody has models.
const MAX_PRICES: usize = 1000;

/// The most that a limit may allow: as many tokens or exchanges as no organisation has, and far below
/// what a sum of them could overflow.
const MAX_COUNT: u64 = 1_000_000_000_000;

/// Digits before the point of an amount, which keeps its millionths within 63 bits.
const AMOUNT_DIGITS: usize = 12;

/// Digits after the point of an amount.
const AMOUNT_DECIMALS: usize = 6;

/// Tokens that a price is for.
const PRICED_TOKENS: u128 = 1_000_000;

/// An amount of money in millionths of a unit of the file's currency.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Amount(u64);

impl Amount {
    /// Millionths of a unit.
    #[must_use]
    pub const fn micros(self) -> u64 {
        self.0
    }
}

impl FromStr for Amount {
    type Err = Malformed;
    fn from_str(text: &str) -> Result<Self, Malformed> {
        const FORM: Malformed = Malformed::new(
            "an amount is written as text, \"12\" or \"12.50\": at most 12 digits, a point, at most 6 digits",
        );
        let digits = |text: &str, most: usize| {
            (1..=most).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
        };
        let (whole, decimals) = text.split_once('.').unwrap_or((text, "0"));
        if !digits(whole, AMOUNT_DIGITS) || !digits(decimals, AMOUNT_DECIMALS) {
            return Err(FORM);
        }
        format!("{whole}{decimals:0<AMOUNT_DECIMALS$}").parse().map(Self).map_err(|_| FORM)
    }
}

/// The code of a currency, as ISO 4217 writes it: `USD`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Currency([u8; 3]);

impl Currency {
    /// The code.
    #[must_use]
    pub fn as_str(&self) -> &str {
        // Three letters of ASCII.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl FromStr for Currency {
    type Err = Malformed;
    fn from_str(text: &str) -> Result<Self, Malformed> {
        <[u8; 3]>::try_from(text.as_bytes())
            .ok()
            .filter(|code| code.iter().all(u8::is_ascii_uppercase))
            .map(Self)
            .ok_or(Malformed::new("a currency is its code of three capital letters: USD"))
    }
}

/// What a model costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Price {
    prompt: Amount,
    completion: Amount,
}

impl Price {
    /// What these tokens cost in millionths of a unit; a part of a millionth counts as a whole one.
    #[must_use]
    pub fn of(self, usage: Usage) -> u64 {
        let prompt = u128::from(usage.prompt) * u128::from(self.prompt.0);
        let completion = u128::from(usage.completion) * u128::from(self.completion.0);
        let cost = prompt.saturating_add(completion).div_ceil(PRICED_TOKENS);
        u64::try_from(cost).unwrap_or(u64::MAX)
    }
}

/// What a bound counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Measure {
    /// Requests in any minute.
    RequestsPerMinute,
    /// Tokens in any minute.
    TokensPerMinute,
    /// Tokens of a day, which begins at midnight UTC.
    TokensPerDay,
    /// Exchanges at once.
    Concurrent,
    /// Millionths of a unit of the file's currency, of a day.
    MoneyPerDay,
    /// The same, of a calendar month.
    MoneyPerMonth,
}

impl Measure {
    /// The key of the file, which is also the reason that records name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::RequestsPerMinute => "requests_per_minute",
            Self::TokensPerMinute => "tokens_per_minute",
            Self::TokensPerDay => "tokens_per_day",
            Self::Concurrent => "concurrent",
            Self::MoneyPerDay => "money_per_day",
            Self::MoneyPerMonth => "money_per_month",
        }
    }

    /// Whether it counts money.
    #[must_use]
    pub const fn is_money(self) -> bool {
        match self {
            Self::MoneyPerDay | Self::MoneyPerMonth => true,
            Self::RequestsPerMinute
            | Self::TokensPerMinute
            | Self::TokensPerDay
            | Self::Concurrent => false,
        }
    }

    /// Whether what it counts must outlive the program: a day or a month is longer than that.
    #[must_use]
    pub const fn is_budget(self) -> bool {
        match self {
            Self::TokensPerDay | Self::MoneyPerDay | Self::MoneyPerMonth => true,
            Self::RequestsPerMinute | Self::TokensPerMinute | Self::Concurrent => false,
        }
    }
}

/// Whom a limit is for: each of a kind by itself, or one of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Per {
    /// Each API key, or this one.
    Key(Option<ApiKeyId>),
    /// Each owner of API keys with all of them together, or this one.
    Owner(Option<Title>),
    /// Each route with all of its callers together, or this one.
    Route(Option<Name>),
    /// The whole organisation.
    Tenant,
}

/// How much may pass.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limit {
    id: Slug,
    per: Per,
    bounds: Vec<(Measure, u64)>,
}

impl Limit {
    /// Its id.
    #[must_use]
    pub fn id(&self) -> &str {
        self.id.as_str()
    }

    /// Whom it is for.
    #[must_use]
    pub const fn per(&self) -> &Per {
        &self.per
    }

    /// How much of what; each measure once, at least one.
    #[must_use]
    pub fn bounds(&self) -> &[(Measure, u64)] {
        &self.bounds
    }

    fn parse(raw: &RawLimit, routes: &BTreeMap<Name, Route>) -> Result<Self, Fault> {
        let per = match (raw.per, &raw.of) {
            (RawPer::Key, None) => Per::Key(None),
            (RawPer::Key, Some(of)) => Per::Key(Some(of.parse().map_err(|_| {
                Fault::new("of", "an API key is named as bulla key list shows it: key_...")
            })?)),
            (RawPer::Owner, of) => Per::Owner(of.as_ref().map(|of| word("of", of)).transpose()?),
            (RawPer::Route, None) => Per::Route(None),
            (RawPer::Route, Some(of)) => {
                let Some((model, _)) = routes.get_key_value(of.as_str()) else {
                    return Err(Fault::new("of", "there is no [[route]] with this model"));
                };
                Per::Route(Some(model.clone()))
            }
            (RawPer::Tenant, None) => Per::Tenant,
            (RawPer::Tenant, Some(_)) => {
                return Err(Fault::new("of", "there is one organisation, so it is not named"));
            }
        };
        let mut bounds = Vec::new();
        let counts = [
            (Measure::RequestsPerMinute, raw.requests_per_minute),
            (Measure::TokensPerMinute, raw.tokens_per_minute),
            (Measure::TokensPerDay, raw.tokens_per_day),
            (Measure::Concurrent, raw.concurrent),
        ];
        for (measure, most) in counts {
            match most {
                None => {}
                Some(most @ 0..=MAX_COUNT) => bounds.push((measure, most)),
                Some(_) => {
                    let problem = format!("at most {MAX_COUNT}");
                    return Err(Fault::new(measure.as_str(), problem));
                }
            }
        }
        let amounts = [
            (Measure::MoneyPerDay, raw.money_per_day.as_ref()),
            (Measure::MoneyPerMonth, raw.money_per_month.as_ref()),
        ];
        for (measure, most) in amounts {
            if let Some(most) = most {
                bounds.push((measure, word::<Amount>(measure.as_str(), most)?.micros()));
            }
        }
        if bounds.is_empty() {
            return Err(Fault::new("per", "the limit limits nothing; say how much of what"));
        }
        Ok(Self { id: word("id", &raw.id)?, per, bounds })
    }

    /// Whether requests of this route count for it.
    fn covers(&self, route: &Route) -> bool {
        match &self.per {
            Per::Route(Some(model)) => model == route.model(),
            Per::Key(_) | Per::Owner(_) | Per::Route(None) | Per::Tenant => true,
        }
    }
}

/// The limits of a file, and the prices that they count with.
#[derive(Debug, Default)]
pub struct Limits {
    currency: Option<Currency>,
    all: BTreeMap<Slug, Limit>,
    prices: BTreeMap<(Slug, Name), Price>,
    has_budgets: bool,
}

impl Limits {
    /// The one currency of the file's amounts.
    #[must_use]
    pub const fn currency(&self) -> Option<Currency> {
        self.currency
    }

    /// Every limit, in order of id.
    pub fn iter(&self) -> impl Iterator<Item = &Limit> {
        self.all.values()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// Whether there is one of a day or a month.
    #[must_use]
    pub const fn has_budgets(&self) -> bool {
        self.has_budgets
    }

    /// What these tokens cost on a route in millionths of a unit, at this destination, or wherever the
    /// route may lead when none is named. Of several prices the highest counts, so that no budget is
    /// passed by a choice that is made later; without any price it is nothing.
    #[must_use]
    pub fn cost(&self, route: &Route, destination: Option<&str>, usage: Usage) -> u64 {
        if self.prices.is_empty() {
            return 0;
        }
        route
            .every_target()
            .filter(|target| destination.is_none_or(|id| target.destination().as_str() == id))
            .filter_map(|target| {
                self.prices.get(&(target.destination().clone(), target.model().clone()))
            })
            .map(|price| price.of(usage))
            .max()
            .unwrap_or(0)
    }

    pub(super) fn parse(
        currency: Option<&String>,
        raw_limits: &[RawLimit],
        raw_prices: &[RawPrice],
        routes: &BTreeMap<Name, Route>,
        destinations: &BTreeMap<Slug, Arc<Destination>>,
    ) -> Result<Self, super::RulesError> {
        let file = |fault| super::RulesError::object("the file", fault);
        let currency = super::optional("currency", currency).map_err(file)?;
        for (kind, count, most) in
            [("limit", raw_limits.len(), MAX_LIMITS), ("price", raw_prices.len(), MAX_PRICES)]
        {
            if count > most {
                return Err(file(Fault::new(kind, format!("at most {most} of them"))));
            }
        }
        let mut prices = BTreeMap::new();
        super::each(
            "price",
            raw_prices,
            |raw| &raw.id,
            |raw| {
                let (of, price) = raw.parse(destinations)?;
                if prices.insert(of, price).is_some() {
                    return Err(Fault::new("model", "another price is for the same model there"));
                }
                Ok((word::<Slug>("id", &raw.id)?, ()))
            },
        )?;
        let all = super::each(
            "limit",
            raw_limits,
            |raw| &raw.id,
            |raw| {
                let limit = Limit::parse(raw, routes)?;
                check_priced(&limit, &prices, routes)?;
                Ok((limit.id.clone(), limit))
            },
        )?;
        let mut measures = all.values().flat_map(|limit| limit.bounds.iter().map(|it| it.0));
        let has_budgets = measures.clone().any(Measure::is_budget);
        if currency.is_none() && (!prices.is_empty() || measures.any(Measure::is_money)) {
            let problem = "say in which currency the amounts of this file are";
            return Err(file(Fault::new("currency", problem)));
        }
        Ok(Self { currency, all, prices, has_budgets })
    }
}

/// Refuses a budget that something without a price would pass by.
fn check_priced(
    limit: &Limit,
    prices: &BTreeMap<(Slug, Name), Price>,
    routes: &BTreeMap<Name, Route>,
) -> Result<(), Fault> {
    let Some((measure, _)) = limit.bounds.iter().find(|(measure, _)| measure.is_money()) else {
        return Ok(());
    };
    for route in routes.values().filter(|route| limit.covers(route)) {
        for target in route.every_target() {
            let (destination, model) = (target.destination(), target.model());
            if !prices.contains_key(&(destination.clone(), model.clone())) {
                let problem = format!(
                    "route \"{}\" leads to model \"{model}\" at \"{destination}\", which has no [[price]]; \
                     write \"0\" for what costs nothing",
                    route.model()
                );
                return Err(Fault::new(measure.as_str(), problem));
            }
        }
    }
    Ok(())
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum RawPer {
    Key,
    Owner,
    Route,
    Tenant,
}

/// A limit as the file writes it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawLimit {
    id: String,
    per: RawPer,
    of: Option<String>,
    requests_per_minute: Option<u64>,
    tokens_per_minute: Option<u64>,
    tokens_per_day: Option<u64>,
    concurrent: Option<u64>,
    money_per_day: Option<String>,
    money_per_month: Option<String>,
}

/// A price as the file writes it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawPrice {
    id: String,
    destination: String,
    model: String,
    prompt: String,
    completion: String,
}

impl RawPrice {
    fn parse(
        &self,
        destinations: &BTreeMap<Slug, Arc<Destination>>,
    ) -> Result<((Slug, Name), Price), Fault> {
        let destination: Slug = word("destination", &self.destination)?;
        let model: Name = word("model", &self.model)?;
        let Some(registered) = destinations.get(&destination) else {
            return Err(Fault::new("destination", "there is no [[destination]] with this id"));
        };
        if !registered.models().contains(&model) {
            return Err(Fault::new("model", "the destination does not allow this model"));
        }
        let prompt = word("prompt", &self.prompt)?;
        let completion = word("completion", &self.completion)?;
        Ok(((destination, model), Price { prompt, completion }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::Rules;
    use proptest::prelude::*;

    const CLINIC: &str = include_str!("../../../../examples/clinic.toml");

    const PRICES: &str = r#"
[[price]]
id = "local"
destination = "local"
model = "local"
prompt = "0"
completion = "0"

[[price]]
id = "large"
destination = "examplecloud"
model = "example-large"
prompt = "2.50"
completion = "10"

[[price]]
id = "small"
destination = "examplecloud"
model = "example-small"
prompt = "0.15"
completion = "0.6"
"#;

    fn read(more: &str) -> Result<Rules, String> {
        Rules::parse(&format!("currency = \"USD\"\n{CLINIC}{more}")).map_err(|it| it.to_string())
    }

    fn limit(more: &str) -> String {
        format!("\n[[limit]]\nid = \"one\"\n{more}\n")
    }

    fn check(more: &str, expected: &[(Measure, u64)]) {
        let rules = read(&format!("{PRICES}{}", limit(more))).unwrap();
        let limits: Vec<_> = rules.limits().iter().collect();
        let [limit] = limits[..] else { panic!("{limits:?}") };
        assert_eq!((limit.id(), limit.bounds()), ("one", expected), "{more}");
    }

    fn check_refused(more: &str, expected: &str) {
        let refused = read(&limit(more)).unwrap_err();
        assert_eq!(refused, format!("limit \"one\", field {expected}"), "{more}");
    }

    #[test]
    fn a_limit_says_how_much_of_what_for_whom() {
        use Measure::*;
        check("per = \"key\"\nrequests_per_minute = 60", &[(RequestsPerMinute, 60)]);
        check(
            "per = \"owner\"\nof = \"Ada Example\"\ntokens_per_minute = 9\ntokens_per_day = 90",
            &[(TokensPerMinute, 9), (TokensPerDay, 90)],
        );
        check(
            "per = \"tenant\"\nmoney_per_day = \"1.5\"\nmoney_per_month = \"20\"",
            &[(MoneyPerDay, 1_500_000), (MoneyPerMonth, 20_000_000)],
        );
        // What may do nothing at all is a limit too.
        check("per = \"route\"\nof = \"local\"\nconcurrent = 0", &[(Concurrent, 0)]);
        let rules = read(&limit("per = \"key\"\nrequests_per_minute = 60")).unwrap();
        assert!(!rules.limits().is_empty() && !rules.limits().has_budgets());
        assert!(read(&limit("per = \"key\"\ntokens_per_day = 1")).unwrap().limits().has_budgets());
        assert!(read("").unwrap().limits().is_empty());
    }

    #[test]
    fn a_limit_of_nothing_or_nobody_is_refused() {
        check_refused("per = \"key\"", "\"per\": the limit limits nothing; say how much of what");
        check_refused(
            "per = \"key\"\nof = \"Ada\"\nconcurrent = 1",
            "\"of\": an API key is named as bulla key list shows it: key_...",
        );
        check_refused(
            "per = \"route\"\nof = \"nowhere\"\nconcurrent = 1",
            "\"of\": there is no [[route]] with this model",
        );
        check_refused(
            "per = \"tenant\"\nof = \"us\"\nconcurrent = 1",
            "\"of\": there is one organisation, so it is not named",
        );
        check_refused(
            "per = \"tenant\"\nconcurrent = 1000000000001",
            "\"concurrent\": at most 1000000000000",
        );
        let many: Vec<String> = (0..=MAX_LIMITS)
            .map(|n| limit("per = \"tenant\"\nconcurrent = 1").replace("one", &format!("l{n}")))
            .collect();
        assert_eq!(
            read(&many.concat()).unwrap_err(),
            "the file, field \"limit\": at most 64 of them"
        );
        assert_eq!(read(&many[1..].concat()).unwrap().limits().iter().count(), MAX_LIMITS);
    }

    #[test]
    fn a_budget_without_a_price_for_each_model_is_refused() {
        let budget = limit("per = \"key\"\nmoney_per_day = \"5\"");
        let refused = read(&budget).unwrap_err();
        assert!(refused.contains("which has no [[price]]"), "{refused}");
        let one_short = PRICES.split("\n[[price]]\nid = \"small\"").next().unwrap();
        let refused = read(&format!("{one_short}{budget}")).unwrap_err();
        assert!(refused.contains("\"example-small\" at \"examplecloud\""), "{refused}");
        // A route that leads elsewhere needs no price of it.
        let local = "per = \"route\"\nof = \"local\"\nmoney_per_day = \"5\"";
        assert!(read(&format!("{one_short}{}", limit(local))).is_ok());
        let no_currency = Rules::parse(&format!("{CLINIC}{PRICES}")).unwrap_err().to_string();
        assert!(no_currency.starts_with("the file, field \"currency\""), "{no_currency}");
        let twice = PRICES.replace("model = \"example-small\"", "model = \"example-large\"");
        let refused = read(&twice).unwrap_err();
        assert_eq!(
            refused,
            "price \"small\", field \"model\": another price is for the same model there"
        );
        for (from, to, field) in [
            ("destination = \"local\"", "destination = \"x\"", "destination"),
            ("model = \"example-small\"", "model = \"x\"", "model"),
            ("\"2.50\"", "\"-2.50\"", "prompt"),
        ] {
            let refused = read(&PRICES.replacen(from, to, 1)).unwrap_err();
            assert!(refused.contains(&format!("field \"{field}\"")), "{refused}");
        }
    }

    #[test]
    fn of_the_places_that_a_route_leads_to_the_dearest_counts() {
        let rules = read(PRICES).unwrap();
        let usage = Usage { prompt: 1000, completion: 100 };
        let cost = |route: &str, at| rules.limits().cost(rules.route(route).unwrap(), at, usage);
        assert_eq!(cost("assistant", Some("examplecloud")), 2500 + 1000);
        assert_eq!(cost("assistant", Some("local")), 0);
        assert_eq!(cost("assistant", None), 3500);
        assert_eq!(cost("assistant-small", None), 150 + 60);
        assert_eq!(read("").unwrap().limits().cost(rules.route("local").unwrap(), None, usage), 0);
        assert_eq!(rules.limits().currency().unwrap().as_str(), "USD");
    }

    #[test]
    fn an_amount_is_exact() {
        for (text, micros) in [
            ("0", 0),
            ("12", 12_000_000),
            ("12.5", 12_500_000),
            ("0.000001", 1),
            ("007.10", 7_100_000),
            ("999999999999.999999", 999_999_999_999_999_999),
        ] {
            assert_eq!(text.parse::<Amount>().map(Amount::micros), Ok(micros), "{text}");
        }
        let bad =
            ["", ".", "1.", ".5", "-1", "+1", "1,5", "1e3", "0.0000001", "1000000000000", "１"];
        for text in bad {
            assert!(text.parse::<Amount>().is_err(), "{text}");
        }
        for bad in ["usd", "US", "USDX", "", "U$D", "ÄA"] {
            assert!(bad.parse::<Currency>().is_err(), "{bad}");
        }
    }

    proptest! {
        /// A cost is the exact one, rounded up by less than a millionth of a unit.
        #[test]
        fn a_cost_is_rounded_up_by_less_than_a_millionth(
            prompt in 0_u64..10_000_000, completion in 0_u64..10_000_000,
            of_prompt in 0_u64..1_000_000_000, of_completion in 0_u64..1_000_000_000,
        ) {
            let price = Price { prompt: Amount(of_prompt), completion: Amount(of_completion) };
            let exact = u128::from(prompt) * u128::from(of_prompt)
                + u128::from(completion) * u128::from(of_completion);
            let cost = u128::from(price.of(Usage { prompt, completion })) * PRICED_TOKENS;
            prop_assert!((exact..exact + PRICED_TOKENS).contains(&cost));
        }
    }
}
