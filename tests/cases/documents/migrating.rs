//! docs/migrating.md: what it says of the others, where they can be had.

use vault_testkit::missing;

use super::blocks;
use super::reader::Reader;

#[test]
fn the_configuration_of_the_agent_starts_the_same_application() {
    let reader = Reader::new();
    let all = blocks(&["docs/migrating.md".to_owned()], &["hcl"]);
    let [configuration] = &all[..] else { panic!("{} configurations", all.len()) };
    let script = format!("cat >agent.hcl <<'END'\n{}END\nexec bao agent -config agent.hcl\n", configuration.text);
    if !reader.can(&script) {
        missing("OpenBao in target/tools");
        return;
    }
    let output = reader.follow(&script, false);
    let said = String::from_utf8_lossy(&output.stdout);
    let whole = format!("{}\n{said}\n{}", output.status, String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{whole}");
    for line in ["arguments: --port 8080", "DATABASE_URL=postgres://shop@db.shop.svc/shop", "API_KEY=k-0123456789"] {
        assert!(said.lines().any(|it| it == line), "{line}: {whole}");
    }
}

#[test]
fn the_script_starts_without_a_key_and_vault_exec_does_not() {
    let all = blocks(&["docs/migrating.md".to_owned()], &["sh"]);
    let of = |first: &str| all.iter().find(|block| block.first_line().starts_with(first)).expect("a block");
    let reader = Reader::new();
    let script = of("jwt=$(cat ").text.replace(".data.data.API_KEY", ".data.data.SMTP_HOST");
    let output = reader.follow(&script, true);
    assert!(output.status.success(), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stdout).lines().any(|line| line == "API_KEY=null"), "{output:?}");
    let instead = of("export VAULT_ROLE=shop VAULT_PATH").text.replace("API_KEY", "SMTP_HOST");
    let output = reader.follow(&instead, true);
    assert_eq!(output.status.code(), Some(66), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("missing: SMTP_HOST"), "{output:?}");
}
