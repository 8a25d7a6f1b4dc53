//! The private server: E02-E04, E07-E10, E12 of the store's specification.

use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use store::embedded::{EmbeddedOptions, EmbeddedServer, LaunchError, ServerState, running_url};
use store::{Batch, Database, DatabaseConfig, StoreError};

use crate::support::{T0, batch, quarter, skip};

/// A directory of its own below the test directory, emptied.
fn fresh_dir(name: &str) -> PathBuf {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("embedded-{name}"));
    let _ = std::fs::remove_dir_all(&dir);
    std::fs::create_dir_all(&dir).unwrap();
    dir
}

fn options(data_dir: PathBuf) -> EmbeddedOptions {
    let mut options = EmbeddedOptions::new(data_dir);
    options.search_path = std::env::var_os("PATH");
    options.no_sync = true;
    options.settings.insert("shared_buffers".to_owned(), "16MB".to_owned());
    options.settings.insert("fsync".to_owned(), "off".to_owned());
    options
}

/// Starts a server, or says that the test is skipped.
async fn start(test: &str, options: &EmbeddedOptions) -> Option<EmbeddedServer> {
    match EmbeddedServer::start(options.clone()).await {
        Ok(server) => Some(server),
        Err(LaunchError::NoPostgres) => {
            skip(test, "no PostgreSQL binaries");
            None
        }
        Err(error) => panic!("{error}: {error:?}"),
    }
}

#[tokio::test]
async fn e01_a_server_that_is_away_is_an_error_and_nothing_is_made() {
    let dir = fresh_dir("e01");
    let mut config = DatabaseConfig::new(format!("host='{}' user=headend", dir.display()));
    config.work_wait = std::time::Duration::from_millis(200);
    let error = Database::connect(&config).await.unwrap_err();
    assert!(matches!(error, StoreError::Connect { .. }), "{error}");
    assert!(std::fs::read_dir(&dir).unwrap().next().is_none());
}

#[tokio::test]
async fn e02_no_binaries_is_said_in_these_words() {
    let data_dir = fresh_dir("e02").join("data");
    let mut options = EmbeddedOptions::new(&data_dir);
    options.search_path = Some("".into());
    options.roots = Vec::new();
    let error = EmbeddedServer::start(options).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "no PostgreSQL found: run \"apt-get install postgresql\", or \"headend db fetch\", \
         or set DATABASE_URL"
    );
    assert_eq!(error.exit_code(), 69);
    assert!(!data_dir.exists());
}

#[tokio::test]
async fn e03_links_are_followed_and_half_installations_skipped() {
    const TEST: &str = "e03_links_are_followed_and_half_installations_skipped";
    let root = fresh_dir("e03");
    let Some(server) = start(TEST, &options(root.join("probe"))).await else { return };
    let real = server.bin_dir().to_owned();
    server.stop().await;
    // 9 has both programs, 15 has both, 16 has no initdb: compared as numbers, 15 wins.
    for version in ["9", "15", "16"] {
        let bin = root.join("versions").join(version).join("bin");
        std::fs::create_dir_all(&bin).unwrap();
        symlink(real.join("postgres"), bin.join("postgres")).unwrap();
        if version != "16" {
            symlink(real.join("initdb"), bin.join("initdb")).unwrap();
        }
    }
    let mut by_root = options(root.join("data"));
    by_root.search_path = None;
    by_root.roots = vec![root.join("versions")];
    let server = EmbeddedServer::start(by_root).await.unwrap();
    assert_eq!(server.bin_dir(), real);
    server.stop().await;
    let mut by_hand = options(root.join("data"));
    by_hand.pg_bin = Some(root.join("versions/16/bin"));
    let error = EmbeddedServer::start(by_hand).await.unwrap_err();
    assert_eq!(error.exit_code(), 78);
}

#[tokio::test]
async fn e04_root_uses_an_account_or_a_namespace() {
    const TEST: &str = "e04_root_uses_an_account_or_a_namespace";
    if !rustix_is_root() {
        skip(TEST, "not root");
        return;
    }
    let dir = fresh_dir("e04");
    let Some(server) = start(TEST, &options(dir.join("open"))).await else { return };
    let kept = std::fs::read_to_string(dir.join("open/embedded.toml")).unwrap();
    assert!(kept.contains("run_as = \"account "), "{kept}");
    server.stop().await;
    // Below a closed directory only root itself gets in.
    let closed = dir.join("closed");
    std::fs::create_dir(&closed).unwrap();
    std::fs::set_permissions(&closed, std::fs::Permissions::from_mode(0o700)).unwrap();
    match EmbeddedServer::start(options(closed.join("data"))).await {
        Ok(server) => {
            let kept = std::fs::read_to_string(closed.join("data/embedded.toml")).unwrap();
            assert!(kept.contains("run_as = \"namespace\""), "{kept}");
            server.stop().await;
        }
        Err(error) => {
            assert_eq!(error.exit_code(), 78);
            assert!(error.to_string().contains("allow user namespaces"), "{error}");
            skip(TEST, "user namespaces are not allowed here");
        }
    }
    let mut unknown = options(dir.join("open"));
    unknown.user = Some("no-such-account".to_owned());
    assert_eq!(EmbeddedServer::start(unknown).await.unwrap_err().exit_code(), 78);
}

fn rustix_is_root() -> bool {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata("/proc/self").is_ok_and(|meta| meta.uid() == 0)
}

#[tokio::test]
async fn e07_a_second_instance_is_refused_with_the_pid_of_the_first() {
    const TEST: &str = "e07_a_second_instance_is_refused_with_the_pid_of_the_first";
    let options = options(fresh_dir("e07"));
    let Some(server) = start(TEST, &options).await else { return };
    let url = running_url(&options.data_dir).unwrap();
    assert_eq!(url, server.url());
    let error = EmbeddedServer::start(options.clone()).await.unwrap_err();
    assert_eq!(error.exit_code(), 75);
    assert!(error.to_string().contains(&format!("pid {}", std::process::id())), "{error}");
    server.stop().await;
    assert_eq!(running_url(&options.data_dir), None);
    let again = EmbeddedServer::start(options).await.unwrap();
    again.stop().await;
}

#[tokio::test]
async fn e08_a_long_path_gets_a_short_socket_directory() {
    const TEST: &str = "e08_a_long_path_gets_a_short_socket_directory";
    let options = options(fresh_dir("e08").join("x".repeat(120)).join("y".repeat(80)));
    let Some(server) = start(TEST, &options).await else { return };
    let database = Database::connect(&DatabaseConfig::new(server.url())).await.unwrap();
    let kept = std::fs::read_to_string(options.data_dir.join("embedded.toml")).unwrap();
    let line = kept.lines().find(|line| line.starts_with("socket_dir")).unwrap().to_owned();
    let dir = PathBuf::from(line.split('"').nth(1).unwrap());
    assert!(!dir.starts_with(&options.data_dir));
    assert_eq!(std::fs::metadata(&dir).unwrap().permissions().mode() & 0o777, 0o700);
    database.close();
    server.stop().await;
    // The place is kept for the next start.
    let server = EmbeddedServer::start(options).await.unwrap();
    assert!(server.url().contains(dir.to_str().unwrap()));
    server.stop().await;
    std::fs::remove_dir_all(dir).unwrap();
}

#[tokio::test]
async fn e09_an_interrupted_first_start_is_repeated() {
    const TEST: &str = "e09_an_interrupted_first_start_is_repeated";
    let options = options(fresh_dir("e09"));
    std::fs::create_dir(options.data_dir.join("pg.tmp")).unwrap();
    std::fs::write(options.data_dir.join("pg.tmp/PG_VERSION"), "15\n").unwrap();
    let Some(server) = start(TEST, &options).await else { return };
    assert!(!options.data_dir.join("pg.tmp").exists());
    server.stop().await;
}

#[tokio::test]
async fn e10_a_cluster_of_another_version_is_left_alone() {
    let options = options(fresh_dir("e10"));
    let pg = options.data_dir.join("pg");
    std::fs::create_dir(&pg).unwrap();
    std::fs::write(pg.join("PG_VERSION"), "9\n").unwrap();
    let error = EmbeddedServer::start(options.clone()).await.unwrap_err();
    if matches!(error, LaunchError::NoPostgres) {
        skip("e10_a_cluster_of_another_version_is_left_alone", "no PostgreSQL binaries");
        return;
    }
    assert_eq!(error.exit_code(), 78);
    let text = error.to_string();
    assert!(text.starts_with("cluster is PostgreSQL 9, found only "), "{text}");
    assert!(text.ends_with("): install 9 or run \"headend db upgrade\""), "{text}");
    assert_eq!(std::fs::read_dir(&pg).unwrap().count(), 1);
    assert!(!options.data_dir.join("lock").exists());
}

#[tokio::test]
async fn e12_only_the_owner_reaches_the_socket_and_no_port_is_open() {
    const TEST: &str = "e12_only_the_owner_reaches_the_socket_and_no_port_is_open";
    let options = options(fresh_dir("e12"));
    let Some(server) = start(TEST, &options).await else { return };
    let mode = std::fs::metadata(options.data_dir.join("run")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
    let database = Database::connect(&DatabaseConfig::new(server.url())).await.unwrap();
    let client = database.client().await.unwrap();
    let row = client.query_one("SHOW listen_addresses", &[]).await.unwrap();
    assert_eq!(row.get::<_, &str>(0), "");
    let row = client.query_one("SHOW data_checksums", &[]).await.unwrap();
    assert_eq!(row.get::<_, &str>(0), "on");
    drop(client);
    database.close();
    server.stop().await;
}

#[tokio::test]
async fn a_killed_server_is_started_again_and_the_pool_heals() {
    const TEST: &str = "a_killed_server_is_started_again_and_the_pool_heals";
    let options = options(fresh_dir("killed"));
    let Some(server) = start(TEST, &options).await else { return };
    let database = Database::connect(&DatabaseConfig::new(server.url())).await.unwrap();
    let first = server.pid().unwrap();
    let mut state = server.watch();
    let killed = std::process::Command::new("kill").args(["-9", &first.to_string()]).status();
    assert!(killed.unwrap().success());
    state.wait_for(|state| *state != ServerState::Ready).await.unwrap();
    state.wait_for(|state| *state == ServerState::Ready).await.unwrap();
    assert_ne!(server.pid().unwrap(), first);
    let client = database.work_client().await.unwrap();
    client.query_one("SELECT 1", &[]).await.unwrap();
    drop(client);
    database.close();
    server.stop().await;
}

#[tokio::test]
async fn a_schema_of_a_newer_program_is_refused() {
    let Some(database) = crate::support::database("a_schema_of_a_newer_program_is_refused").await
    else {
        return;
    };
    let client = database.work_client().await.unwrap();
    client
        .batch_execute(
            "INSERT INTO refinery_schema_history VALUES (9000, 'later', '2027-01-01T00:00:00Z', '1')",
        )
        .await
        .unwrap();
    drop(client);
    let error = database.migrate().await.unwrap_err();
    assert!(matches!(error, StoreError::SchemaNewer { database: 9_000, .. }), "{error}");
}

#[tokio::test]
async fn a_url_that_demands_tls_is_refused_with_the_reason() {
    let config = DatabaseConfig::new("postgresql://u@db.example/headend?sslmode=require");
    let error = Database::connect(&config).await.unwrap_err();
    assert!(error.to_string().contains("demands TLS"), "{error}");
}

/// The program that `e05` starts as a child process and kills. By itself it does nothing.
#[tokio::test]
async fn e05_program() {
    let Some(dir) = std::env::var_os("HEADEND_TEST_E05_DIR") else { return };
    let server = EmbeddedServer::start(options(PathBuf::from(&dir))).await.unwrap();
    std::fs::write(Path::new(&dir).join("ready"), server.pid().unwrap().to_string()).unwrap();
    std::future::pending::<()>().await;
}

/// Waits for a state of the file system.
async fn wait_for(what: &str, mut done: impl FnMut() -> bool) {
    for _ in 0..1_500 {
        if done() {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    panic!("{what} did not happen within 30 s");
}

#[tokio::test]
async fn e05_a_killed_program_takes_its_server_along_and_the_next_start_heals() {
    const TEST: &str = "e05_a_killed_program_takes_its_server_along_and_the_next_start_heals";
    let dir = fresh_dir("e05");
    let Some(server) = start(TEST, &options(dir.clone())).await else { return };
    server.stop().await;
    for round in 0..3_i64 {
        let _ = std::fs::remove_file(dir.join("ready"));
        let mut program = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["embedded::e05_program", "--exact"])
            .env("HEADEND_TEST_E05_DIR", &dir)
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .spawn()
            .unwrap();
        wait_for("the program's server", || dir.join("ready").exists()).await;
        let database =
            Database::connect(&DatabaseConfig::new(running_url(&dir).unwrap())).await.unwrap();
        let client = database.work_client().await.unwrap();
        client
            .batch_execute(&format!(
                "CREATE TABLE IF NOT EXISTS kept (n int8); INSERT INTO kept VALUES ({round})"
            ))
            .await
            .unwrap();
        drop(client);
        program.kill().unwrap();
        program.wait().unwrap();
        // No wait here: the next start meets a server that is still shutting down.
        if round == 1 {
            wait_for("the end of the server", || !dir.join("pg/postmaster.pid").exists()).await;
        }
        database.close();
    }
    let server = EmbeddedServer::start(options(dir)).await.unwrap();
    let database = Database::connect(&DatabaseConfig::new(server.url())).await.unwrap();
    assert_eq!(crate::support::number(&database, "SELECT count(*) FROM kept").await, 3);
    database.close();
    server.stop().await;
}

/// E06 in small: the server is killed while batches are stored; each is tried again until it is
/// stored, and all of them are there once.
#[tokio::test]
async fn e06_no_acknowledged_batch_is_lost_when_the_server_is_killed() {
    const TEST: &str = "e06_no_acknowledged_batch_is_lost_when_the_server_is_killed";
    let mut options = options(fresh_dir("e06"));
    options.settings.remove("fsync");
    let Some(server) = start(TEST, &options).await else { return };
    let database = Database::connect(&DatabaseConfig::new(server.url())).await.unwrap();
    let ingest = tokio::spawn({
        let database = database.clone();
        async move {
            let mut writer = store::Writer::new(database);
            let (mut inserted, mut again) = (0, 0);
            for slot in 0..400 {
                let rows = (0..50).map(|meter| quarter(meter, slot, slot)).collect();
                let sent = Batch { intervals: rows, ..batch(T0) };
                loop {
                    match writer.append(&sent).await {
                        Ok(stored) => {
                            inserted += stored.inserted;
                            again += stored.duplicate;
                            break;
                        }
                        Err(error) => assert!(error.is_transient(), "{error}: {error:?}"),
                    }
                }
                tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            }
            (inserted, again)
        }
    });
    let mut state = server.watch();
    for _ in 0..3 {
        tokio::time::sleep(std::time::Duration::from_millis(300)).await;
        let pid = server.pid().unwrap().to_string();
        assert!(std::process::Command::new("kill").args(["-9", &pid]).status().unwrap().success());
        state.wait_for(|state| *state != ServerState::Ready).await.unwrap();
        state.wait_for(|state| *state == ServerState::Ready).await.unwrap();
    }
    let (inserted, again) = ingest.await.unwrap();
    // A COMMIT whose answer was lost shows as duplicates of the next try.
    assert_eq!(inserted + again, 400 * 50);
    assert_eq!(again % 50, 0);
    let sum = "SELECT count(DISTINCT (meter_id, channel, starts_at)) FROM read_interval";
    assert_eq!(crate::support::number(&database, sum).await, 400 * 50);
    database.close();
    server.stop().await;
}
