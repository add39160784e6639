//! A disk that says that it could not synchronise: what it has is unknown from then on, so nothing goes
//! through until a restart reads it again.

use crate::house::{Done, House, check_refusal, streaming, user};
use crate::rules::Rules;
use serde_json::Value;
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use testkit::client::Request;
use testkit::notes;
use testkit::people::MARISOL;
use testkit::upstream::{Reply, Upstream};

/// `fsync` and `fdatasync` that fail with EIO while a file is there, take their time while another is, and ask
/// the system else.
const SHIM: &str = r#"
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>
static int asked(const char *name, int fd) {
    const char *flag = getenv("FAIL_SYNC_WHILE");
    const char *slow = getenv("SLOW_SYNC_WHILE");
    if (flag && access(flag, F_OK) == 0) { errno = EIO; return -1; }
    if (slow && access(slow, F_OK) == 0) { usleep(200000); }
    return ((int (*)(int))dlsym(RTLD_NEXT, name))(fd);
}
int fsync(int fd) { return asked("fsync", fd); }
int fdatasync(int fd) { return asked("fdatasync", fd); }
"#;

/// The library that a program is started with. Whoever built the program has a C compiler.
pub(crate) fn shim(house: &House) -> PathBuf {
    let (source, library) = (house.path("sync.c"), house.path("sync.so"));
    fs::write(&source, SHIM).unwrap();
    let mut compile = Command::new("cc");
    compile.args(["-shared", "-fPIC", "-o"]).arg(&library).arg(&source).arg("-ldl");
    Done::of(&mut compile).ok();
    library
}

#[tokio::test]
async fn a_synchronisation_that_fails_stops_everything_until_a_restart_and_loses_nothing() {
    let note = notes::second_patient();
    let upstream = Upstream::start(Reply::echo()).await;
    let house = House::with(&Rules::cloud(&upstream));
    let flag = house.path("disk-fails");
    let mut command = house.command(&["serve", "--listen", "127.0.0.1:0"]);
    command.env("LD_PRELOAD", shim(&house)).env("FAIL_SYNC_WHILE", &flag);
    let serving = house.start(command);
    let body = user(&note.text);
    let mut answered = Vec::new();
    for _ in 0..5 {
        let response = serving.ask(&body).await;
        assert_eq!(response.status(), 200);
        answered.push(response.header("x-request-id").unwrap().to_owned());
    }

    fs::write(&flag, "").unwrap();
    let sent = upstream.captured().len();
    // The system may have thrown away what it could not write and say "written" the next time, so that the
    // disk seems to be well again changes nothing.
    for well_again in [false, true] {
        if well_again {
            fs::remove_file(&flag).unwrap();
        }
        for body in [body.clone(), streaming(&body), user("no identifier"), Value::Null] {
            let response = serving.ask(&body).await;
            check_refusal(&response, 503, "audit_unavailable", &[MARISOL.name]);
        }
        let ready = serving.call(&Request::get("/readyz")).await;
        assert_eq!(ready.status(), 503, "{}", ready.text());
    }
    assert_eq!(upstream.captured().len(), sent, "a prompt left without its record");
    assert_eq!(serving.call(&Request::get("/healthz")).await.status(), 200);

    serving.kill();
    let serving = house.serve();
    let response = serving.ask(&body).await;
    assert_eq!(response.answer().content(), note.text, "{}", response.text());
    let log = house.log();
    let outcomes = log.outcomes();
    for exchange in &answered {
        assert_eq!(outcomes[exchange].outcome, "answered");
    }
    serving.stop();
}
