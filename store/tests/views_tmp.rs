#[path = "views/mod.rs"]
mod views;
mod kit {
    use store::{Database, DatabaseConfig};
    pub struct TestDatabase(Database);
    impl TestDatabase {
        pub fn db(&self) -> &Database {
            &self.0
        }
    }
    pub async fn database(test: &str) -> Option<TestDatabase> {
        let name = format!("t_{}", test.replace(' ', "_"));
        let admin =
            Database::open(&DatabaseConfig::new("host=/tmp/vpg user=postgres dbname=postgres"))
                .unwrap();
        let c = admin.client().await.unwrap();
        c.batch_execute(&format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)")).await.unwrap();
        c.batch_execute(&format!("CREATE DATABASE {name}")).await.unwrap();
        Some(TestDatabase(
            Database::connect(&DatabaseConfig::new(format!(
                "host=/tmp/vpg user=postgres dbname={name}"
            )))
            .await
            .unwrap(),
        ))
    }
}
