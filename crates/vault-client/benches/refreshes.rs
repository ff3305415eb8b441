//! `refreshes MOUNT SECRETS REFRESHES` watches so many secrets and refreshes them by turns. It prints what of it is resident
//! after a tenth of the refreshes and after all of them, in KiB.

use vault_client::watch::Every;
use vault_client::{VaultClient, Watched};
use vault_testkit::measure::Process;

fn main() {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let [mount, secrets, refreshes] = &arguments[..] else {
        panic!("usage: refreshes MOUNT SECRETS REFRESHES");
    };
    let [secrets, refreshes] = [secrets, refreshes].map(|it| it.parse::<usize>().expect("a number"));
    let vault = VaultClient::from_env().expect("settings");
    let watch = |number: usize| {
        // None is due before the end.
        vault.kv(mount).watch(&format!("secret-{number}"), Every::seconds(24 * 3600)).expect("a secret")
    };
    let watched: Vec<Watched> = (0..secrets).map(watch).collect();
    for number in 1..=refreshes {
        let secret = &watched[number % secrets];
        let before = secret.current();
        secret.refresh().expect("a refresh");
        assert!(secret.current().metadata.version > before.metadata.version, "each one brings a change");
        if number == refreshes / 10 || number == refreshes {
            println!("{}", Process::own().resident_kib());
        }
    }
    vault.close();
}
