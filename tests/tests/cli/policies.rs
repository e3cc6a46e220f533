//! The stored policy, which several processes may change.

use serde_json::json;

use super::program::Program;

#[test]
fn policies_that_processes_set_at_the_same_moment_are_all_kept() {
    let program = Program::new();
    assert_eq!(program.run(["policy"]).code, Some(0));
    let settings = [
        "regions=DE",
        "never=openai",
        "max-usd-day=1",
        "max-usd-month=2",
        "allow-metered=false",
        "max-usd-request=0.5",
    ];
    std::thread::scope(|scope| {
        for setting in settings {
            let program = &program;
            scope.spawn(move || assert_eq!(program.run(["policy", "set", setting]).code, Some(0)));
        }
    });
    let policy = program.run(["policy", "--json"]).object();
    assert_eq!(policy["regions"], json!(["DE"]));
    assert_eq!(policy["never"], json!(["openai"]));
    assert_eq!(policy["max_usd_day"], 1.0);
    assert_eq!(policy["max_usd_month"], 2.0);
    assert_eq!(policy["max_usd_request"], 0.5);
    assert_eq!(policy["allow_metered"], false);
}
