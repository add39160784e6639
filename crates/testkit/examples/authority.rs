//! A time-stamping authority to try Bulla with by hand. It is made with OpenSSL on the spot and proves
//! nothing to anybody else.
//!
//! ```text
//! cargo run -p testkit --example authority -- FOLDER
//! ```
//! It writes its root certificate to `FOLDER/authority.pem` and then the part of a governed configuration
//! that names it to `FOLDER/authority.toml`, and answers until it is ended.

#![expect(clippy::print_stdout, reason = "a program for the command line")]

use std::path::PathBuf;
use std::process::ExitCode;
use testkit::authority::Stamping;

fn main() -> std::io::Result<ExitCode> {
    let Some(folder) = std::env::args_os().nth(1).map(PathBuf::from) else {
        println!("usage: authority FOLDER");
        return Ok(ExitCode::from(2));
    };
    let stamping = Stamping::start();
    let root = std::path::absolute(folder.join("authority.pem"))?;
    std::fs::write(&root, stamping.root())?;
    // Whoever waits for this file finds it whole.
    let written = folder.join("authority.toml.new");
    std::fs::write(&written, stamping.rules(&root))?;
    std::fs::rename(written, folder.join("authority.toml"))?;
    println!("http://{}/stamp", stamping.address());
    loop {
        std::thread::park();
    }
}
