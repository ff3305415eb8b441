//! `reads MOUNT PATH READS THREADS` logs in, reads the secret so often on so many threads, and revokes its token.

use vault_client::{Revoked, VaultClient};

fn main() {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let [mount, path, reads, threads] = &arguments[..] else {
        panic!("usage: reads MOUNT PATH READS THREADS");
    };
    let [reads, threads] = [reads, threads].map(|it| it.parse::<usize>().expect("a number"));
    let vault = VaultClient::from_env().expect("settings");
    let read = || {
        for _ in 0..reads / threads {
            let secret = vault.kv_read(mount, path).expect("a secret");
            assert!(secret.text("API_KEY").is_some());
        }
    };
    std::thread::scope(|scope| {
        (1..threads).for_each(|_| drop(scope.spawn(read)));
        read();
    });
    assert_eq!(vault.close(), Revoked::Yes);
}
