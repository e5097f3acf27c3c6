//! Who answers for an agent, and what becomes of it when somebody else does.

use super::*;

#[tokio::test]
async fn an_agent_is_handed_over_to_an_active_person_of_its_tenant_and_goes_on() {
    for world in worlds().await {
        let bot = bot(&world, change()).await;
        let (agents, id) = (world.issuer.agents(), bot.agent.id.as_str());
        for (name, tenant) in [("usr_bob", "other"), ("usr_carol", "acme"), ("usr_dave", "acme")] {
            person(&world, name, tenant).await;
        }
        for leaver in ["usr_dave", "usr_alice"] {
            stand(&world, leaver, "disabled").await;
            agents.follow_owner(leaver, "operator").await.unwrap();
        }
        assert_eq!(bot.own(&world, &[]).await.error(), "invalid_client");
        for nobody in ["usr_alice", "usr_bob", "usr_dave", "usr_nobody", ""] {
            let refused = agents.change_owned(id, &change(), Some(nobody), "operator").await;
            assert!(matches!(refused, Err(AgentError::Owner)), "{nobody}");
        }
        assert_eq!(agents.find(id).await.unwrap().unwrap().owner, "usr_alice");
        let handed = agents.change_owned(id, &change(), Some("usr_carol"), "operator").await.unwrap();
        assert_eq!((handed.owner.as_str(), handed.name.as_str()), ("usr_carol", "Builder"));
        token(&bot.own(&world, &[]).await);
        // It stops with the one who has it now, and with nobody else.
        assert!(agents.follow_owner("usr_alice", "operator").await.unwrap().is_empty());
        token(&bot.own(&world, &[]).await);
        stand(&world, "usr_carol", "disabled").await;
        assert_eq!(agents.follow_owner("usr_carol", "operator").await.unwrap(), [id]);
        // What says nothing of an owner changes none, and starts nothing.
        let changed = agents.change(id, &change(), "operator").await.unwrap();
        assert_eq!(changed.owner, "usr_carol");
        assert_eq!(bot.own(&world, &[]).await.error(), "invalid_client");
    }
}
