//! The folder, and all that can stand in the place of an entry.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::thread;

use tempfile::TempDir;

use super::*;

fn key() -> CachedLogin {
    let (address, mount) = ("https://vault.example:8200".into(), "oidc".into());
    CachedLogin { address, namespace: Some("team".into()), mount, role: None }
}

fn entry(token: &str) -> Entry {
    let policies = vec!["default".into(), "shop".into()];
    Entry { key: key(), token: Secret::new(token), expires_at: 5000, renewable: true, policies }
}

/// A folder with the entry of `key` in it.
fn filled() -> (TempDir, PathBuf, PathBuf) {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("a/b/vault-client");
    let folder = Folder::make(&path).unwrap();
    let name = key().name();
    folder.lock(&name).unwrap().unwrap().write(&name, &entry("hvs.cached").encode()).unwrap();
    let file = path.join(name);
    (place, path, file)
}

/// The token of `key`, or why there is none.
fn token(path: &Path) -> Result<Option<String>, Flaw> {
    let Some(folder) = Folder::open(path)? else { return Ok(None) };
    Ok(read(&folder, &key())?.map(|entry| entry.token.expose().to_owned()))
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

fn listed(path: &Path) -> Vec<String> {
    fs::read_dir(path).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[test]
fn an_entry_is_read_as_it_was_written_and_nobody_else_can_read_it() {
    let (_place, path, file) = filled();
    assert_eq!((mode(&path), mode(&file)), (0o700, 0o600));
    assert_eq!(listed(&path), [key().name()]);
    let read = read(&Folder::open(&path).unwrap().unwrap(), &key()).unwrap().unwrap();
    let expected = entry("hvs.cached");
    assert_eq!((read.key, read.token.expose()), (expected.key, "hvs.cached"));
    assert_eq!((read.expires_at, read.renewable, read.policies), (5000, true, expected.policies));
    assert_eq!(entry("x").left(UNIX_EPOCH + Duration::from_secs(1400)), LEAST);
    assert_eq!(entry("x").left(UNIX_EPOCH + Duration::from_secs(6000)), Duration::ZERO);
}

#[test]
fn each_login_has_a_file_of_its_own() {
    let keys = [
        key(),
        CachedLogin { address: "https://vault.example:8201".into(), ..key() },
        CachedLogin { namespace: None, ..key() },
        CachedLogin { namespace: Some("-".into()), ..key() },
        CachedLogin { mount: "oidc2".into(), ..key() },
        CachedLogin { role: Some(String::new()), ..key() },
        CachedLogin { role: Some("shop".into()), ..key() },
        CachedLogin { namespace: Some("team/oidc".into()), mount: String::new(), ..key() },
    ];
    let mut names: Vec<_> = keys.iter().map(CachedLogin::name).collect();
    assert!(names.iter().all(|name| name.len() == 69 && !name.contains("vault")), "{names:?}");
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), keys.len());
}

#[test]
fn what_is_no_entry_of_ours_is_told_and_not_used() {
    let other = Entry { key: CachedLogin { address: "https://evil.example".into(), ..key() }, ..entry("hvs.other") };
    let text = |change: &dyn Fn(&str) -> String| change(std::str::from_utf8(&entry("hvs.cached").encode()).unwrap());
    for (content, flaw) in [
        (String::new(), "damaged"),
        ("{".into(), "damaged"),
        ("null".into(), "damaged"),
        (text(&|text| text[..text.len() - 1].into()), "damaged"),
        (text(&|text| text.replace("hvs.cached", "two\\nlines")), "damaged"),
        (text(&|text| text.replace("hvs.cached", "")), "damaged"),
        (text(&|text| text.replace("5000", "\"soon\"")), "damaged"),
        (text(&|text| text.replace("5000", "-1")), "damaged"),
        (text(&|text| text.replace("\"team\"", "null")), "of another login"),
        (String::from_utf8(other.encode().to_vec()).unwrap(), "of another login"),
        ("x".repeat((64 << 10) + 1), "too large"),
    ] {
        let (_place, path, file) = filled();
        fs::write(file, &content).unwrap();
        assert_eq!(token(&path), Err(flaw.into()), "{}", &content[..content.len().min(200)]);
    }
}

#[test]
fn a_file_that_others_can_get_at_is_not_used() {
    let with = |change: &dyn Fn(&Path, &Path)| {
        let (_place, path, file) = filled();
        change(&path, &file);
        token(&path)
    };
    let moved = |path: &Path| path.with_extension("moved");
    assert_eq!(with(&|_, _| {}), Ok(Some("hvs.cached".into())));
    assert_eq!(with(&|_, file| fs::remove_file(file).unwrap()), Ok(None));
    assert_eq!(with(&|_, file| set_mode(file, 0o640)), Err("its mode 640 lets others in".into()));
    assert_eq!(with(&|_, file| set_mode(file, 0o602)), Err("its mode 602 lets others in".into()));
    assert_eq!(with(&|path, _| set_mode(path, 0o755)), Err("its mode 755 lets others in".into()));
    let linked = |path: &Path| {
        fs::rename(path, moved(path)).unwrap();
        symlink(moved(path), path).unwrap();
    };
    assert_eq!(with(&|_, file| linked(file)), Err("a link".into()));
    assert_eq!(with(&|path, _| linked(path)), Err("not a folder".into()));
    assert_eq!(with(&|_, file| fs::hard_link(file, moved(file)).unwrap()), Err("it has another name".into()));
    let replaced = |file: &Path, by: &dyn Fn(&Path)| {
        fs::remove_file(file).unwrap();
        by(file);
    };
    let fifo = |file: &Path| nix::unistd::mkfifo(file, nix::sys::stat::Mode::S_IRWXU).unwrap();
    assert_eq!(with(&|_, file| replaced(file, &fifo)), Err("not a regular file".into()));
    let folder = |file: &Path| fs::DirBuilder::new().create(file).map(|()| set_mode(file, 0o700)).unwrap();
    assert_eq!(with(&|_, file| replaced(file, &folder)), Err("not a regular file".into()));
    let file_for_folder = |path: &Path, _: &Path| {
        fs::remove_dir_all(path).unwrap();
        fs::write(path, "").unwrap();
    };
    assert_eq!(with(&file_for_folder), Err("not a folder".into()));
    assert_eq!(with(&|path, _| fs::remove_dir_all(path).unwrap()), Ok(None));
    // Another user's file can be made by root alone.
    if nix::unistd::geteuid().is_root() {
        let given = |file: &Path| std::os::unix::fs::chown(file, Some(65534), None).unwrap();
        assert_eq!(with(&|_, file| given(file)), Err("another user's".into()));
        assert_eq!(with(&|path, _| given(path)), Err("another user's".into()));
    }
}

#[test]
fn a_write_replaces_whatever_stands_there_and_leaves_nothing_beside_it() {
    let (_place, path, file) = filled();
    let (name, elsewhere) = (key().name(), path.join("elsewhere"));
    fs::rename(&file, &elsewhere).unwrap();
    symlink(&elsewhere, &file).unwrap();
    // What a program left that was killed while it wrote.
    symlink(&elsewhere, path.join(format!(".{name}.new"))).unwrap();
    let folder = Folder::open(&path).unwrap().unwrap();
    let lock = folder.lock(&name).unwrap().unwrap();
    lock.write(&name, &entry("hvs.new").encode()).unwrap();
    drop(lock);
    assert_eq!(token(&path), Ok(Some("hvs.new".into())));
    assert!(fs::read_to_string(&elsewhere).unwrap().contains("hvs.cached"));
    assert_eq!(names(&path), [name.as_str()]);
    assert_eq!(listed(&path).len(), 2);

    fs::create_dir(path.join(format!(".{name}.new"))).unwrap();
    let lock = folder.lock(&name).unwrap().unwrap();
    lock.write(&name, b"{}").unwrap_err();
    assert_eq!(token(&path), Ok(Some("hvs.new".into())));
}

#[test]
fn one_holds_the_lock_at_a_time_and_its_file_is_gone_afterwards() {
    let (_place, path, _) = filled();
    let (name, held) = (key().name(), std::sync::atomic::AtomicBool::new(false));
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                // Each has descriptors of its own, as another program has.
                let folder = Folder::open(&path).unwrap().unwrap();
                for _ in 0..50 {
                    let lock = std::iter::repeat_with(|| folder.lock(&name).unwrap()).find_map(|lock| {
                        thread::yield_now();
                        lock
                    });
                    assert!(!held.swap(true, std::sync::atomic::Ordering::SeqCst), "two hold it");
                    thread::yield_now();
                    held.store(false, std::sync::atomic::Ordering::SeqCst);
                    drop(lock);
                }
            });
        }
    });
    assert_eq!(listed(&path), [name]);
}

#[test]
fn the_folder_is_in_the_users_caches() {
    let folder = |xdg: Option<&str>, home: Option<&str>| {
        cache_folder(|name| if name == "HOME" { home.map(Into::into) } else { xdg.map(Into::into) })
    };
    for (xdg, home, expected) in [
        (Some("/x"), Some("/home/a"), Some("/x/vault-client")),
        (Some("x"), Some("/home/a"), Some("/home/a/.cache/vault-client")),
        (Some(""), Some("/home/a"), Some("/home/a/.cache/vault-client")),
        (None, Some("/home/a"), Some("/home/a/.cache/vault-client")),
        (None, Some("home"), None),
        (None, None, None),
    ] {
        assert_eq!(folder(xdg, home).as_deref(), expected.map(Path::new), "{xdg:?} {home:?}");
    }
}
