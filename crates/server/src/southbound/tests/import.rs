//! Terminals that a factory gave their credentials.

use super::*;
use crate::store::bench::on_both;
use protocols::operator::{Imports, Made};

fn made(device: &str, credential: &str) -> Made {
    let credential_sha256 = crate::secret::digest(credential);
    Made { device: name(device), facts: facts(), credential_sha256 }
}

#[tokio::test]
async fn an_import_adds_who_is_new_and_leaves_who_is_known() {
    on_both(async |place| {
        let bench = Bench::on(place).await;
        bench.publish("2").await;
        bench.start("spring", everyone()).await;
        let lot = [made("f1", "one"), made("f2", "two"), made("d0", "mine now")];
        let done = bench.server.import(&lot, NOW).await.unwrap();
        let taken = vec![name("d0")];
        assert_eq!(done, Imports { added: 2, known: 0, taken: taken.clone() });
        let again = bench.server.import(&lot, later(1)).await.unwrap();
        assert_eq!(again, Imports { added: 0, known: 2, taken });
        let holder = bench.server.roster.holder(crate::secret::digest("two")).unwrap();
        assert_eq!(crate::roster::lock(&holder).stored.device, name("f2"));
        assert!(bench.server.roster.holder(crate::secret::digest("mine now")).is_none());
        jobs::tick(&bench.server, NOW).await.unwrap();
        assert_eq!(bench.server.snapshot().audience(&name("spring")), 4, "they count at once");
        assert!(bench.beat("f1", "1", None, NOW).await.unwrap().unwrap().offer.is_some());
        let filter = "product==router".parse().unwrap();
        let mut tx = bench.server.store.begin().await.unwrap();
        let found = tx.find_devices(&filter, None, 10).await.unwrap();
        assert_eq!(found, [name("f1"), name("f2")], "filters find them");
    })
    .await;
}
