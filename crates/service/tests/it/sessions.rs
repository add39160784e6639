//! Nothing of one session gets into another, whatever is asked in whichever order.
//!
//! A session is what one key asks by the ids of its own responses, or under its own name of a conversation.

use crate::world::{World, operator};
use ledger::{Entropy as _, Event};
use providers::Addressed;
use serde_json::{Value, json};
use service::{Converse, Earlier, KeyRequest, KeyRole, Principal, Started};
use testkit::entropy::Seeded;
use testkit::upstream::Reply;

const SESSIONS: usize = 12;

/// Requests of one run; `BULLA_SESSION_REQUESTS` asks for more.
const REQUESTS: usize = 300;

/// What each session is about, which no policy keeps back.
const WORDS: [&str; SESSIONS] = [
    "metformin",
    "lisinopril",
    "warfarin",
    "asthma",
    "psoriasis",
    "gout",
    "anemia",
    "eczema",
    "migraine",
    "glaucoma",
    "sciatica",
    "tinnitus",
];

struct Session {
    principal: Principal,
    conversation: Option<String>,
    /// What is said in this session only, and is no identifier.
    word: &'static str,
    /// Whom this session only is about.
    ssn: String,
    responses: Vec<String>,
}

struct Random(Seeded);

impl Random {
    fn below(&self, end: usize) -> usize {
        let mut bytes = [0; 2];
        self.0.fill(&mut bytes);
        usize::from(u16::from_le_bytes(bytes)) % end
    }
}

async fn sessions(world: &World) -> Vec<Session> {
    let mut sessions = Vec::new();
    for (number, word) in WORDS.into_iter().enumerate() {
        // Three sessions share a key, as three users of one program do.
        if number.is_multiple_of(3) {
            let request = KeyRequest {
                owner: format!("Example Program {number}"),
                role: KeyRole::Caller,
                purpose: Some("treatment".to_owned()),
                days: None,
            };
            let (_, secret, _) = world.house.create_key(request, operator()).await.unwrap();
            world.house.reload().await.unwrap();
            let principal = world.house.authenticate(secret.reveal()).unwrap();
            sessions.push(session(number, word, principal));
        } else {
            let principal = sessions.last().map(|it: &Session| it.principal.clone()).unwrap();
            sessions.push(session(number, word, principal));
        }
    }
    sessions
}

fn session(number: usize, word: &'static str, principal: Principal) -> Session {
    Session {
        principal,
        conversation: (!number.is_multiple_of(3)).then(|| format!("session {number}")),
        word,
        ssn: format!("219-{:02}-{:04}", 10 + number, 4321 + number),
        responses: Vec::new(),
    }
}

/// Asks, and says the answer or the code of the refusal.
async fn ask(world: &World, session: &Session, body: &Value) -> Result<Value, String> {
    let request = Converse {
        principal: session.principal.clone(),
        api: gate::rules::Api::Responses,
        addressed: Addressed::default(),
        body: body.to_string().into_bytes(),
        purpose: None,
        conversation: session.conversation.as_deref().map(phi::Text::from),
        patient: None,
        justification: None,
        traceparent: None,
        earlier: Earlier::default(),
    };
    let place = world.house.enter(&session.principal).await.unwrap();
    let Started::Ended(ended) = world.house.converse(request, place).await else {
        panic!("no stream was asked for");
    };
    let (_, outcome, _) = *ended.released.expect("recorded");
    match outcome {
        gate::Outcome::Answered(answer) => {
            Ok(serde_json::from_str(&answer.into_exposed()).unwrap())
        }
        other => Err(other.code().unwrap().as_str().to_owned()),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[expect(clippy::disallowed_methods, reason = "how many requests, from who runs the test")]
async fn what_leaves_for_a_session_holds_nothing_of_another() {
    let requests = std::env::var("BULLA_SESSION_REQUESTS").ok();
    let requests = requests.map_or(REQUESTS, |it| it.parse().unwrap());
    let world = World::at("2026-03-01T09:00:00Z", None).await;
    world.upstream.play(Reply::text("Noted."));
    let mut sessions = sessions(&world).await;
    let random = Random(Seeded::new(0x5e55));
    let (mut went_on, mut kept_out) = (0, 0);
    for number in 0..requests {
        let mine = random.below(SESSIONS);
        let other = random.below(SESSIONS);
        // On from its own last, on from any other's, or anew, so that chains stay short.
        let from = match random.below(4) {
            0 => None,
            1 => Some(other),
            _ => Some(mine),
        };
        // Who names an id of its own key's and no conversation is in the session of that id.
        let from = from.filter(|from| {
            let (from, own) = (&sessions[*from], &sessions[mine]);
            from.responses.is_empty()
                || *from.word == *own.word
                || own.conversation.is_some()
                || from.principal.key() != own.principal.key()
        });
        let previous = from.and_then(|from| sessions[from].responses.last().cloned());
        let session = &sessions[mine];
        let said =
            format!("The note is about {}; SSN: {}. Turn {number}.", session.word, session.ssn);
        let body = json!({ "model": "example", "input": said, "previous_response_id": previous });
        let before = world.upstream.captured().len();
        let answered = ask(&world, session, &body).await;
        let captured = world.upstream.captured();
        match answered {
            Ok(answer) => {
                assert!(previous.is_none() || from == Some(mine), "{mine} went on from {from:?}");
                went_on += usize::from(previous.is_some());
                let [sent] = &captured[before..] else { panic!("one request leaves") };
                for (number, one) in sessions.iter().enumerate() {
                    assert_eq!(sent.holds(one.word), number == mine, "{}", sent.text());
                    assert!(!sent.holds(&one.ssn));
                }
                assert!(!sent.holds("resp_") && !sent.holds("previous_response_id"));
                let answer = answer["id"].as_str().unwrap().to_owned();
                let responses = &mut sessions[mine].responses;
                // Nine turns are a chain.
                if responses.len() == 9 {
                    responses.clear();
                }
                responses.push(answer);
            }
            Err(code) => {
                assert!(from != Some(mine), "{mine} from {from:?}: {code}");
                assert!(["previous_response_not_found", "invalid_request"].contains(&&*code));
                assert_eq!(captured.len(), before, "something left");
                kept_out += 1;
            }
        }
    }
    assert!(went_on > requests / 8 && kept_out > requests / 10, "{went_on}, {kept_out}");
    println!("{requests} requests, {went_on} went on, {kept_out} were kept out");
    // Nobody opened what is another key's.
    for event in world.events().await {
        if let Event::ContentRead { actor, exchange, .. } = event {
            let id = format!("resp_{exchange}");
            let key = |it: &&Session| it.principal.key().to_string() == actor.id;
            let found = world.house.response(&sessions.iter().find(key).unwrap().principal, &id);
            assert!(found.await.is_ok());
        }
    }
}
