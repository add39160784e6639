//! Sends traces to the collector that the configuration names: OTLP over HTTP, in JSON.
//!
//! Nothing waits for the collector. What it does not take at once waits in a line of a known length; what
//! finds no place there is dropped and counted.

use super::trace::write;
use crate::configuration::read_small;
use crate::feed::wait;
use crate::house::House;
use gate::rules::{Credential, Traces};
use providers::{Secret, Sender};

/// Traces in one request: some hundred kilobytes.
const BATCH_TRACES: usize = 256;

/// Requests of one turn. After it, whether the collector is still covered is asked again.
const TURN_BATCHES: usize = 16;

/// Why the collector has not got what waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stop {
    /// It may take them later.
    Later(&'static str),
    /// It does not want these.
    Never(&'static str),
}

impl House {
    /// Sends traces again and again, until it is dropped.
    pub(crate) async fn keep_tracing(&self) {
        let mut failures = 0_u32;
        loop {
            tokio::time::sleep(wait(failures, &*self.entropy)).await;
            match self.send_traces().await {
                Ok(()) => {
                    if std::mem::take(&mut failures) > 0 {
                        tracing::info!("the collector takes traces again");
                    }
                }
                Err(reason) => {
                    failures = failures.saturating_add(1);
                    if failures == 1 {
                        tracing::warn!(
                            reason,
                            "the collector takes no traces; what finds no room is dropped"
                        );
                    }
                }
            }
        }
    }

    /// Sends what waits.
    ///
    /// # Errors
    /// Why the collector does not take it, in a word.
    pub(crate) async fn send_traces(&self) -> Result<(), &'static str> {
        let waiting = &self.telemetry.traces;
        for _ in 0..TURN_BATCHES {
            let batch = waiting.first(BATCH_TRACES);
            if batch.is_empty() {
                return Ok(());
            }
            let in_force = self.in_force.load_full();
            let rules = in_force.as_ref().map(|in_force| &in_force.rules);
            let Some(traces) = rules.and_then(|rules| rules.traces()) else {
                // Nobody is to have them any more.
                waiting.drop_first(batch.len());
                continue;
            };
            let covered =
                rules.and_then(|rules| traces.cover(rules.registry(), self.clock.now()).ok());
            // Fail closed: what has no cover goes nowhere, and does not wait for one.
            let Some(covered) = covered else {
                waiting.drop_first(batch.len());
                return Err("not_covered");
            };
            let sent = match self.sender(traces) {
                Ok((sender, authorization)) => {
                    let body = write(&batch);
                    let sent =
                        self.providers.post_traces(&covered, &sender, authorization.as_ref(), body);
                    judge(sent.await)
                }
                Err(stop) => Err(stop),
            };
            match sent {
                Ok(()) => waiting.have_gone(batch.len()),
                Err(Stop::Later(reason)) => return Err(reason),
                Err(Stop::Never(reason)) => {
                    waiting.drop_first(batch.len());
                    return Err(reason);
                }
            }
        }
        Ok(())
    }

    /// Whom the connection trusts, and what is said in the header `authorization`.
    fn sender(&self, traces: &Traces) -> Result<(Sender, Option<Secret>), Stop> {
        let authority_pem = match traces.ca_file() {
            None => None,
            Some(path) => {
                let text = read_small(path).ok_or(Stop::Later("certificates_unreadable"))?;
                Some(text.into_bytes())
            }
        };
        let secret = match traces.authorization() {
            Credential::None => return Ok((Sender { authority_pem, identity_pem: None }, None)),
            Credential::Env(name) => (self.environment)(name),
            Credential::File(path) => read_small(path),
        };
        let secret = secret.ok_or(Stop::Later("secret_unreadable"))?;
        Ok((Sender { authority_pem, identity_pem: None }, Some(Secret::new(&secret))))
    }
}

/// What an answer means, as OTLP 1.9 says under "Failures": 429, 502, 503 and 504 are to be tried again,
/// every other failure is not.
fn judge(answer: Result<u16, gate::UpstreamFailure>) -> Result<(), Stop> {
    match answer {
        Ok(200..300) => Ok(()),
        Ok(429 | 502 | 503 | 504) => Err(Stop::Later("busy")),
        Ok(401 | 403) => Err(Stop::Later("unauthorized")),
        Ok(_) => Err(Stop::Never("refused")),
        Err(failure) => Err(Stop::Later(failure.reason())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_collector_may_take_later_waits_and_the_rest_does_not() {
        let check = |status, expected| assert_eq!(judge(Ok(status)), expected, "{status}");
        check(200, Ok(()));
        check(202, Ok(()));
        check(503, Err(Stop::Later("busy")));
        check(429, Err(Stop::Later("busy")));
        check(401, Err(Stop::Later("unauthorized")));
        check(400, Err(Stop::Never("refused")));
        check(404, Err(Stop::Never("refused")));
        check(307, Err(Stop::Never("refused")));
        let away = judge(Err(gate::UpstreamFailure::Unreachable));
        assert_eq!(away, Err(Stop::Later("unreachable")));
    }
}
