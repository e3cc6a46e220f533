//! A data directory that cannot be written: a read-only mount, or another user's. Installed models work, and nothing is
//! recorded.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use super::program::{Program, Ran, path, turn};

/// A program whose data directory cannot be written.
struct ReadOnly {
    program: Program,
    binary: PathBuf,
}

/// Whose directory it is.
#[derive(Clone, Copy, PartialEq)]
enum Owner {
    /// The user's, who has mounted it without a right to write.
    User,
    /// Another user's, whose data is that one's alone.
    Other,
}

impl ReadOnly {
    fn new(program: Program, owner: Owner) -> Self {
        let home = program.data_dir();
        let home = home.parent().expect("a home");
        let binary = home.join("nearside");
        // Another user may not reach where it was built.
        std::fs::copy(path(), &binary).expect("copied");
        set_mode(home, 0o755);
        set_mode(&binary, 0o755);
        run("chmod", &["-R", "a-w"], &program.data_dir());
        match (owner, is_root()) {
            (Owner::User, true) => run("chown", &["-R", USER], &program.data_dir()),
            (Owner::Other, false) => set_mode(&program.data_dir().join("state.db"), 0),
            _ => {}
        }
        Self { program, binary }
    }

    /// Runs as a user who may not write, on whose behalf root has set the permissions.
    fn run(&self, arguments: &[&str]) -> Ran {
        let mut command = self.program.command(arguments);
        let _turn = turn(&command);
        let environment: Vec<_> = command
            .get_envs()
            .map(|(name, value)| (name.to_owned(), value.map(ToOwned::to_owned)))
            .collect();
        command = match is_root() {
            true => {
                let mut command = Command::new("setpriv");
                command.args([
                    format!("--reuid={USER}"),
                    format!("--regid={USER}"),
                    "--clear-groups".into(),
                ]);
                command.arg(&self.binary);
                command
            }
            false => Command::new(&self.binary),
        };
        command.args(arguments).env_clear().stdin(Stdio::null());
        command.envs(environment.into_iter().filter_map(|(name, value)| Some((name, value?))));
        Ran::new(command.output().expect("it runs"))
    }
}

impl Drop for ReadOnly {
    fn drop(&mut self) {
        run("chmod", &["-R", "u+w"], &self.program.data_dir());
    }
}

/// A user that may write nothing of root's.
const USER: &str = "65534";

fn is_root() -> bool {
    let id = Command::new("id").arg("-u").output().expect("a user");
    id.stdout == b"0\n"
}

fn set_mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("set");
}

fn run(program: &str, arguments: &[&str], path: &Path) {
    let status = Command::new(program)
        .args(arguments)
        .arg(path)
        .status()
        .expect("it runs");
    assert!(status.success(), "{program}: {status}");
}

/// Returns the files below a directory with their sizes.
fn files(directory: &Path) -> Vec<(PathBuf, u64)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).expect("a directory").flatten() {
        match entry.path().is_dir() {
            true => found.append(&mut files(&entry.path())),
            false => found.push((entry.path(), entry.metadata().expect("a file").len())),
        }
    }
    found.sort();
    found
}

#[test]
fn installed_models_answer_and_nothing_is_written() {
    let (program, id) = Program::with_model();
    assert_eq!(program.run(["policy", "set", "version=mine"]).code, Some(0));
    assert_eq!(
        program.run(["providers", "add", "groq", "--key-env", "KEY"]).code,
        Some(0)
    );
    let before = files(&program.data_dir());
    let program = ReadOnly::new(program, Owner::User);
    let listed = program.run(&["ls", "--json"]).object();
    assert_eq!(listed["models"][0]["id"], id.as_str());
    for arguments in [
        vec!["chat", "-p", "Hello?", "--max-tokens", "4", "--json"],
        vec!["chat", &id, "-p", "Hello?", "--max-tokens", "4", "--json"],
    ] {
        let ran = program.run(&arguments);
        assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""), "{ran:?}");
        let chunks = ran.lines();
        let done = chunks.last().expect("chunks");
        assert!(done["usage"]["completion_tokens"].as_u64() >= Some(1), "{done}");
        assert_eq!(done["receipt"]["policy"], "mine", "the stored policy counts");
    }
    let route = program.run(&["route", "-p", "Hello?", "--json"]).object();
    assert_eq!(route["target"]["model"], id.as_str(), "{route}");
    assert_eq!(program.run(&["conversations", "list"]).code, Some(0));
    assert_eq!(program.run(&["fit", &id]).code, Some(0));

    let doctor = program.run(&["doctor", "--json"]).object();
    let problems = doctor["problems"].as_array().expect("problems");
    let told: Vec<&Value> = problems.iter().filter(|problem| problem["id"] == "data_dir").collect();
    assert_eq!(told.len(), 1, "said once: {doctor}");
    assert!(told[0]["text"].to_string().contains("can only be read"), "{doctor}");

    // What would have to be stored says so.
    for arguments in [
        vec!["policy", "set", "version=other"],
        vec!["providers", "rm", "--yes", "groq"],
        vec!["rm", "--yes", &id],
    ] {
        let ran = program.run(&arguments);
        assert_eq!(ran.code, Some(1), "{arguments:?}: {ran:?}");
        assert!(ran.err.contains("permissions"), "{arguments:?}: {ran:?}");
    }
    assert_eq!(files(&program.program.data_dir()), before);
}

#[test]
fn a_directory_that_never_had_a_database_is_read_as_well() {
    let (program, id) = Program::with_model();
    for file in ["state.db", "conversations.db", "lock"] {
        let _ = std::fs::remove_file(program.data_dir().join(file));
    }
    for directory in ["partial", "staging", "trash"] {
        std::fs::remove_dir_all(program.data_dir().join(directory)).expect("removed");
    }
    let program = ReadOnly::new(program, Owner::User);
    let ran = program.run(&["chat", "-p", "Hello?", "--max-tokens", "4", "--json"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(ran.lines()[0]["route"]["target"]["model"], id.as_str());
    let ran = program.run(&["pull", "hf:o/r"]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
}

#[test]
fn another_users_models_answer_and_that_users_data_stays_unread() {
    let (program, id) = Program::with_model();
    assert_eq!(program.run(["policy", "set", "version=mine"]).code, Some(0));
    assert_eq!(
        program.run(["providers", "add", "groq", "--key-env", "KEY"]).code,
        Some(0)
    );
    let program = ReadOnly::new(program, Owner::Other);
    let listed = program.run(&["ls", "--json"]).object();
    assert_eq!(listed["models"][0]["id"], id.as_str());
    let ran = program.run(&["chat", "-p", "Hello?", "--max-tokens", "4", "--json"]);
    assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""), "{ran:?}");
    assert_ne!(ran.lines().last().expect("chunks")["receipt"]["policy"], "mine");
    let providers = program.run(&["providers", "ls", "--json"]);
    assert!(!providers.out.contains("groq"), "{providers:?}");
}
