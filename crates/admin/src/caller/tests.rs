use super::*;
use model::{Principal, SeededDice, Timestamp};

fn config() -> Config {
    Config {
        operator_tenant: "house".into(),
        operator_roles: ["operator".to_owned()].into(),
        tenant_admin_roles: ["admin".to_owned()].into(),
        agents_may_write: false,
    }
}

fn who(tenant: &str, role: &str) -> Principal {
    Principal {
        user: "usr_1".into(),
        tenant: tenant.into(),
        roles: vec![role.into()],
        scopes: crate::SCOPES.iter().map(|scope| (*scope).into()).collect(),
        ..Principal::service()
    }
}

fn judge(who: Principal, need: Need, config: &Config) -> Result<Reach, Code> {
    let reference = CallId::new(Timestamp(0), &SeededDice::new(1));
    Caller::judge(&Arc::new(who), need, config, reference)
        .map(|caller| caller.reach)
        .map_err(|problem| problem.code)
}

#[test]
fn reach_comes_from_role_and_tenant() {
    let acme = || Reach::Tenant("acme".into());
    for (tenant, role, need, expected) in [
        ("house", "operator", Need::OperatorWrite, Ok(Reach::House)),
        ("house", "operator", Need::AdminWrite, Ok(Reach::House)),
        ("acme", "operator", Need::OperatorRead, Err(Code::ADMIN_ROLE)),
        ("acme", "operator", Need::AdminRead, Err(Code::ADMIN_ROLE)),
        ("acme", "admin", Need::AdminWrite, Ok(acme())),
        ("house", "admin", Need::OperatorRead, Err(Code::ADMIN_ROLE)),
        ("acme", "reader", Need::AdminRead, Err(Code::ADMIN_ROLE)),
        ("acme", "reader", Need::SelfWrite, Ok(Reach::Own)),
        ("house", "operator", Need::SelfRead, Ok(Reach::Own)),
        ("acme", "reader", Need::Token, Ok(Reach::Own)),
    ] {
        assert_eq!(judge(who(tenant, role), need, &config()), expected, "{tenant} {role} {need:?}");
    }
}

#[test]
fn an_agent_alone_changes_nothing_unless_configured() {
    let alone = || Principal { user: "agt_1".into(), agent: Some("agt_1".into()), ..who("acme", "admin") };
    let client = || Principal { user: "robot".into(), client: "robot".into(), ..who("acme", "admin") };
    let for_somebody = || Principal { agent: Some("agt_1".into()), ..who("acme", "admin") };
    let tenant = Ok(Reach::Tenant("acme".into()));
    for someone in [alone(), client()] {
        assert_eq!(judge(someone.clone(), Need::AdminWrite, &config()), Err(Code::ADMIN_PERSON));
        assert_eq!(judge(someone.clone(), Need::SelfRead, &config()), Err(Code::ADMIN_PERSON));
        assert_eq!(judge(someone.clone(), Need::AdminRead, &config()), tenant);
        let config = Config { agents_may_write: true, ..config() };
        assert_eq!(judge(someone, Need::AdminWrite, &config), tenant);
    }
    assert_eq!(judge(for_somebody(), Need::AdminWrite, &config()), tenant);
}

#[test]
fn a_scope_is_needed_whatever_the_role() {
    for need in [Need::SelfRead, Need::SelfWrite, Need::AdminRead, Need::AdminWrite, Need::OperatorRead] {
        let mut who = who("house", "operator");
        who.scopes.retain(|scope| Some(&**scope) != need.scope());
        assert_eq!(judge(who, need, &config()), Err(Code::SCOPE_MISSING), "{need:?}");
    }
}

#[test]
fn rows_of_another_tenant_are_not_there() {
    let reference = CallId::new(Timestamp(0), &SeededDice::new(1));
    let caller = |reach| Caller { principal: Arc::new(who("acme", "admin")), reach, reference };
    let tenant = caller(Reach::Tenant("acme".into()));
    let reached = |caller: &Caller, row: Option<&'static str>| {
        caller.reached(row, |row| row).map_err(|problem| (problem.status.as_u16(), problem.detail))
    };
    assert_eq!(reached(&tenant, Some("acme")), Ok("acme"));
    assert_eq!(reached(&tenant, Some("globex")), reached(&tenant, None));
    assert_eq!(reached(&tenant, Some("")), Err((404, None)));
    assert_eq!(reached(&caller(Reach::House), Some("globex")), Ok("globex"));
    assert_eq!(tenant.tenant(None).unwrap().as_deref(), Some("acme"));
    assert!(tenant.tenant(Some("globex")).is_err() && tenant.home(Some("globex")).is_err());
    assert_eq!(caller(Reach::House).tenant(None).unwrap(), None);
    assert_eq!(&*caller(Reach::House).home(None).unwrap(), "acme");
}
