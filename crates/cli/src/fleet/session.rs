//! `limekiln session`: sessions at a gateway.

use anyhow::{Context as _, Result, bail};
use limekiln_jobs::api::{
    Branch, BranchChange, BranchRequest, HeadRequest, HeadStep, SessionRequest, SessionTree,
    SessionView, TurnView,
};
use limekiln_jobs::{EditId, SessionId};
use reqwest::Method;
use serde::Serialize;
use serde_json::json;

use super::client::Client;
use super::submit::{self, From, read};
use super::{session_files, tree};
use crate::args::{
    GatewayArgs, Session, SessionBranchArgs, SessionEditArgs, SessionJumpArgs, SessionNewArgs,
    SessionOneArgs,
};
use crate::output::print;

/// Runs one of the commands on sessions.
///
/// # Errors
///
/// One line that says what to do.
pub(crate) async fn run(command: &Session) -> Result<()> {
    match command {
        Session::New(args) => new(args).await,
        Session::Edit(args) => edit(args).await,
        Session::Undo(args) => step(args, HeadStep::Undo).await,
        Session::Redo(args) => step(args, HeadStep::Redo).await,
        Session::Jump(args) => jump(args).await,
        Session::Tree(args) => {
            let tree = one(args).await?;
            say(args.json, &tree, || tree::drawn(&tree).join("\n"))
        }
        Session::Show(args) => {
            let (client, tree) = (client(&args.one.gateway)?, one(&args.one).await?);
            if let Some(path) = &args.output {
                session_files::picture(&client, &tree, path).await?;
            }
            if let Some(path) = &args.matte {
                session_files::matte(&client, &tree, path).await?;
            }
            say(args.one.json, &tree, || shown(&tree))
        }
        Session::Branch(args) => branch(args).await,
        Session::Delete(args) => {
            let path = format!("/v1/sessions/{}", args.session);
            client(&args.gateway)?.delete(&path).await?;
            let gone = json!({ "deleted": args.session });
            say(args.json, &gone, || format!("{} is deleted", args.session))
        }
    }
}

fn client(args: &GatewayArgs) -> Result<Client> {
    Client::new(&args.url, &args.key)
}

/// Prints one of both.
fn say(json: bool, value: &impl Serialize, text: impl FnOnce() -> String) -> Result<()> {
    print(&if json {
        serde_json::to_string(value)?
    } else {
        text()
    });
    Ok(())
}

async fn new(args: &SessionNewArgs) -> Result<()> {
    let client = client(&args.gateway)?;
    let image = match &args.image {
        Some(path) => Some(client.image_create(read(path)?).await?.id),
        None => None,
    };
    let request = SessionRequest {
        image,
        title: args.title.clone(),
    };
    let made: SessionView = client
        .json(Method::POST, "/v1/sessions", Some(&request))
        .await?;
    say(args.json, &made, || made.id.to_string())
}

async fn edit(args: &SessionEditArgs) -> Result<()> {
    let parent = match &args.parent {
        Some(name) => {
            let client = client(&args.request.gateway)?;
            let tree = get(&client, args.session).await?;
            let parent = named(&tree, name)?;
            Some(parent.with_context(|| {
                format!("--parent: {name} is the picture itself: undo to it, then edit")
            })?)
        }
        None => None,
    };
    submit::send(&args.request, From::Turn(args.session, parent)).await
}

async fn branch(args: &SessionBranchArgs) -> Result<()> {
    let client = client(&args.gateway)?;
    let tree = get(&client, args.session).await?;
    let Some(name) = &args.name else {
        let line = |branch: &Branch| format!("{}  {}", branch.name, head(&tree, branch.turn));
        let lines = || tree.branches.iter().map(line).collect::<Vec<_>>();
        return say(args.json, &tree.branches, || lines().join("\n"));
    };
    let branches = format!("/v1/sessions/{}/branches", args.session);
    let this = format!("{branches}/{name}");
    if args.delete {
        client.delete(&this).await?;
        let gone = json!({ "deleted": name });
        return say(args.json, &gone, || format!("{name} is deleted"));
    }
    let turn = match &args.at {
        Some(at) => Some(named(&tree, at)?.with_context(|| {
            format!("--at: {at} is the picture itself: undo to it, then make the branch")
        })?),
        None => None,
    };
    let known = tree.branches.iter().any(|branch| branch.name == *name);
    let made: Branch = match known || args.rename.is_some() {
        true if turn.is_none() && args.rename.is_none() => {
            bail!(
                "the session has a branch {name} already: --at moves it, --rename and --delete change it"
            )
        }
        true => {
            let change = BranchChange {
                name: args.rename.clone(),
                turn,
            };
            client.json(Method::PATCH, &this, Some(&change)).await?
        }
        false => {
            let request = BranchRequest {
                name: name.clone(),
                turn,
            };
            client.json(Method::POST, &branches, Some(&request)).await?
        }
    };
    say(args.json, &made, || {
        format!("{}  {}", made.name, head(&tree, made.turn))
    })
}

async fn step(args: &SessionOneArgs, step: HeadStep) -> Result<()> {
    let request = HeadRequest {
        step: Some(step),
        ..HeadRequest::default()
    };
    moved(&args.gateway, args.session, &request, args.json).await
}

async fn jump(args: &SessionJumpArgs) -> Result<()> {
    let client = client(&args.gateway)?;
    let turn = named(&get(&client, args.session).await?, &args.turn)?;
    let request = HeadRequest {
        step: turn.is_none().then_some(HeadStep::Root),
        turn,
        branch: None,
    };
    moved(&args.gateway, args.session, &request, args.json).await
}

async fn moved(
    gateway: &GatewayArgs,
    session: SessionId,
    request: &HeadRequest,
    json: bool,
) -> Result<()> {
    let client = client(gateway)?;
    let path = format!("/v1/sessions/{session}/head");
    let view: SessionView = client.json(Method::POST, &path, Some(request)).await?;
    if json {
        return say(true, &view, String::new);
    }
    let tree = get(&client, session).await?;
    say(false, &view, || head(&tree, view.head))
}

async fn one(args: &SessionOneArgs) -> Result<SessionTree> {
    get(&client(&args.gateway)?, args.session).await
}

async fn get(client: &Client, session: SessionId) -> Result<SessionTree> {
    let path = format!("/v1/sessions/{session}");
    client.json(Method::GET, &path, None::<&()>).await
}

/// The turn of this number, id or branch; none: the picture.
fn named(tree: &SessionTree, name: &str) -> Result<Option<EditId>> {
    if ["picture", "root"].contains(&name) {
        return Ok(None);
    }
    let id: Option<EditId> = name.parse().ok();
    let number: Option<u32> = name.parse().ok();
    let is_it = |turn: &&TurnView| Some(turn.id) == id || Some(turn.number) == number;
    if let Some(turn) = tree.tree.iter().find(is_it) {
        return Ok(Some(turn.id));
    }
    let branch = tree.branches.iter().find(|branch| branch.name == name);
    branch.map(|branch| branch.turn).with_context(|| {
        format!(
            "the session has no turn and no branch {name}: `limekiln session tree {}` shows them",
            tree.session.id
        )
    })
}

/// Where the head is, in words.
fn head(tree: &SessionTree, head: Option<EditId>) -> String {
    let turn = tree.tree.iter().find(|turn| Some(turn.id) == head);
    turn.map_or_else(
        || "at the picture".to_owned(),
        |turn| format!("at turn {}: {}", turn.number, turn.instruction),
    )
}

fn shown(tree: &SessionTree) -> String {
    let session = &tree.session;
    let mut lines = vec![format!("session   {}", session.id)];
    if !session.title.is_empty() {
        lines.push(format!("title     {}", session.title));
    }
    if let Some(image) = session.image {
        lines.push(format!("picture   {image}"));
    }
    lines.push(format!(
        "head      {}, version {}",
        head(tree, session.head),
        session.version
    ));
    for branch in &tree.branches {
        lines.push(format!(
            "branch    {}: {}",
            branch.name,
            head(tree, branch.turn)
        ));
    }
    for turn in &tree.tree {
        let error = turn
            .error
            .as_ref()
            .map(|error| format!(": {}", error.message));
        lines.push(format!(
            "turn {:<4} {}  {}  {}{}",
            turn.number,
            turn.id,
            turn.state,
            turn.instruction,
            error.unwrap_or_default()
        ));
    }
    lines.join("\n")
}
