//! The part of the whole that was asked for, and what about it is not known.

use std::collections::{BTreeMap, BTreeSet};

use chancery_types::id::SessionId;

use super::{DelegationNode, Edge, Graph, GraphError, How, Subject, What};

/// What stays.
#[derive(Default)]
struct Kept {
    sessions: BTreeSet<SessionId>,
    /// Delegations by their node's id.
    delegations: BTreeSet<String>,
    /// Instances whose calls stay.
    acting: BTreeSet<String>,
    /// Instances that stay even where nothing leads to them.
    alone: BTreeSet<String>,
}

pub(super) fn select(whole: Graph) -> Result<Graph, GraphError> {
    let kept = match &whole.subject {
        Subject::Session(session) => of_sessions(&whole, BTreeSet::from([*session])),
        Subject::Person(person) => {
            let sessions = sessions_of_person(&whole, &format!("person:{person}"));
            of_sessions(&whole, sessions)
        }
        Subject::Agent(name) => of_agent(&whole, name)?,
    };
    if kept.sessions.is_empty() && kept.alone.is_empty() {
        return Err(GraphError::Unknown(whole.subject));
    }
    let elsewhere = undisclosed(&whole);
    let mut graph = keep(whole, &kept);
    graph.unknown = unknown(&graph, elsewhere);
    Ok(graph)
}

fn delegations(graph: &Graph) -> impl Iterator<Item = (&str, &DelegationNode)> {
    graph.nodes.iter().filter_map(|node| match &node.what {
        What::Delegation(delegation) => Some((node.id.as_str(), delegation.as_ref())),
        _ => None,
    })
}

fn of_sessions(graph: &Graph, sessions: BTreeSet<SessionId>) -> Kept {
    let known = graph.nodes.iter().filter_map(|node| match &node.what {
        What::Session(session) => Some(session.session),
        _ => None,
    });
    let sessions: BTreeSet<_> = known.filter(|session| sessions.contains(session)).collect();
    let own = delegations(graph).filter(|(_, delegation)| sessions.contains(&delegation.session));
    Kept {
        delegations: own.map(|(id, _)| id.to_owned()).collect(),
        acting: graph
            .edges
            .iter()
            .filter(|edge| {
                matches!(
                    edge.how,
                    How::Called(_) | How::MayCall(_) | How::Asked { .. }
                )
            })
            .map(|edge| edge.from.clone())
            .collect(),
        alone: BTreeSet::new(),
        sessions,
    }
}

fn sessions_of_person(graph: &Graph, person: &str) -> BTreeSet<SessionId> {
    let own = graph.edges.iter().filter(|edge| edge.from == person);
    let touched: BTreeSet<&str> = own.map(|edge| edge.to.as_str()).collect();
    let nodes = graph.nodes.iter();
    let touched = nodes.filter(|node| touched.contains(node.id.as_str()));
    touched
        .filter_map(|node| match &node.what {
            What::Delegation(delegation) => Some(delegation.session),
            What::Approval { session, .. } => Some(*session),
            _ => None,
        })
        .collect()
}

fn of_agent(graph: &Graph, name: &str) -> Result<Kept, GraphError> {
    let Some(agent) = find_agent(graph, name)? else {
        return Ok(Kept::default());
    };
    let instances: BTreeSet<String> = graph
        .edges
        .iter()
        .filter(|edge| matches!(edge.how, How::InstanceOf) && edge.to == agent)
        .map(|edge| edge.from.clone())
        .collect();
    let by_name: BTreeMap<(SessionId, &str), (&str, &DelegationNode)> = delegations(graph)
        .map(|(id, known)| ((known.session, known.delegation.as_str()), (id, known)))
        .collect();
    let mut kept = Kept {
        acting: instances.clone(),
        ..Kept::default()
    };
    for (id, delegation) in delegations(graph) {
        // From the delegation up to its root: its own holder's, or below one of the agent's.
        let (mut above, mut at) = (vec![id], Some(delegation));
        let mut own = false;
        while let Some(known) = at {
            own |= instances.contains(&format!("instance:{}", known.delegate));
            let parent = known.parent.as_deref();
            let parent = parent.and_then(|parent| by_name.get(&(known.session, parent)));
            at = parent.map(|(_, delegation)| *delegation);
            above.extend(parent.map(|(id, _)| *id));
            if above.len() > by_name.len() {
                break;
            }
        }
        if own {
            kept.sessions.insert(delegation.session);
            kept.acting
                .insert(format!("instance:{}", delegation.delegate));
            kept.delegations
                .extend(above.into_iter().map(str::to_owned));
        }
    }
    for edge in &graph.edges {
        // Calls and knocks without a delegation of their own.
        if instances.contains(&edge.from)
            && let How::Called(called) = &edge.how
        {
            kept.sessions.insert(called.session);
        }
    }
    kept.alone = instances;
    Ok(kept)
}

/// The agent of that SPIFFE ID, or whose SPIFFE ID ends with that name.
fn find_agent(graph: &Graph, name: &str) -> Result<Option<String>, GraphError> {
    let agents = graph.nodes.iter().filter_map(|node| match &node.what {
        What::Agent { agent, .. } => Some((node.id.clone(), agent.as_str())),
        _ => None,
    });
    let ending = format!("/{name}");
    let mut found: Vec<_> = agents
        .filter(|(_, agent)| *agent == name || agent.ends_with(&ending))
        .collect();
    match found.iter().find(|(_, agent)| *agent == name) {
        Some((id, _)) => Ok(Some(id.clone())),
        None if found.len() > 1 => Err(GraphError::Ambiguous {
            name: name.to_owned(),
            agents: found.iter().map(|(_, agent)| (*agent).to_owned()).collect(),
        }),
        None => Ok(found.pop().map(|(id, _)| id)),
    }
}

fn keep(mut graph: Graph, kept: &Kept) -> Graph {
    let sessions: BTreeSet<String> = kept
        .sessions
        .iter()
        .map(|session| format!("session:{session}"))
        .collect();
    let approvals: BTreeSet<&str> = graph
        .edges
        .iter()
        .filter(|edge| match &edge.how {
            How::Asked { session, .. } => {
                kept.sessions.contains(session) && kept.acting.contains(&edge.from)
            }
            _ => false,
        })
        .map(|edge| edge.to.as_str())
        .collect();
    let holders: BTreeSet<&str> = graph
        .edges
        .iter()
        .filter(|edge| matches!(edge.how, How::HeldBy) && kept.delegations.contains(&edge.from))
        .map(|edge| edge.to.as_str())
        .collect();
    let stays = |edge: &Edge| match &edge.how {
        How::Consents { .. } | How::Signs | How::Delegates => kept.delegations.contains(&edge.to),
        How::HeldBy | How::Within => kept.delegations.contains(&edge.from),
        How::InstanceOf => true,
        How::Joined { .. } | How::Refused { .. } => {
            let shown = kept.acting.contains(&edge.from)
                || holders.contains(edge.from.as_str())
                || kept.alone.is_empty();
            shown && sessions.contains(&edge.to)
        }
        How::Governs => sessions.contains(&edge.to),
        How::MayCall(may) => {
            kept.sessions.contains(&may.session) && kept.acting.contains(&edge.from)
        }
        How::Called(called) => {
            kept.sessions.contains(&called.session) && kept.acting.contains(&edge.from)
        }
        How::Asked { .. } | How::Answered { .. } => approvals.contains(edge.to.as_str()),
        How::About => approvals.contains(edge.from.as_str()),
    };
    let mut edges: Vec<Edge> = graph
        .edges
        .iter()
        .filter(|edge| stays(edge))
        .cloned()
        .collect();
    let mut named: BTreeSet<&str> = kept.alone.iter().map(String::as_str).collect();
    let ends = edges
        .iter()
        .filter(|edge| !matches!(edge.how, How::InstanceOf));
    named.extend(ends.flat_map(|edge| [edge.from.as_str(), edge.to.as_str()]));
    named.extend(sessions.iter().map(String::as_str));
    let agents: BTreeSet<String> = graph
        .edges
        .iter()
        .filter(|edge| matches!(edge.how, How::InstanceOf) && named.contains(edge.from.as_str()))
        .map(|edge| edge.to.clone())
        .collect();
    named.extend(agents.iter().map(String::as_str));
    let named: BTreeSet<String> = named.into_iter().map(str::to_owned).collect();
    edges.retain(|edge| named.contains(&edge.from) && named.contains(&edge.to));
    graph.nodes.retain(|node| named.contains(&node.id));
    graph.edges = edges;
    graph
}

/// How many roots have a person whom nothing discloses.
fn undisclosed(graph: &Graph) -> usize {
    let nameless: BTreeSet<&str> = graph
        .nodes
        .iter()
        .filter(|node| matches!(node.what, What::Person { person: None, .. }))
        .map(|node| node.id.as_str())
        .collect();
    let consents = graph.edges.iter();
    let consents = consents.filter(|edge| matches!(edge.how, How::Consents { .. }));
    consents
        .filter(|edge| nameless.contains(edge.from.as_str()))
        .count()
}

fn unknown(graph: &Graph, elsewhere: usize) -> Vec<String> {
    let mut said = Vec::new();
    let mut causes: BTreeMap<&str, usize> = BTreeMap::new();
    for (_, delegation) in delegations(graph) {
        if let Some(cause) = &delegation.unknown {
            let count = causes.entry(cause).or_default();
            *count = count.saturating_add(1);
        }
    }
    for (cause, count) in causes {
        said.push(format!("what {count} delegation(s) grant: {cause}"));
    }
    let nameless = undisclosed(graph);
    if nameless > 0 {
        said.push(format!(
            "who consented to {nameless} root(s): nothing at hand discloses it, and two commitments \
             may be one person's"
        ));
    }
    if let Subject::Person(person) = &graph.subject
        && elsewhere > 0
    {
        said.push(format!(
            "whether {elsewhere} more root(s) in these logs are {person}'s: nothing at hand \
             discloses whose they are"
        ));
    }
    said
}
