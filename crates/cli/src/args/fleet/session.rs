//! `limekiln session`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use limekiln_jobs::SessionId;

use super::{GatewayArgs, RequestArgs};

/// Edit a picture turn by turn: every turn can be undone, and nothing is lost
///
/// A session is a tree of edits that grows from one picture. Each turn builds on the session's head, or on another turn, and is the
/// head from then on. Undo goes back, redo forth again; a turn posted after an undo begins a branch of the tree.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct SessionArgs {
    #[command(subcommand)]
    pub(crate) command: Session,
}

const EXAMPLES: &str = "\
Examples:
  limekiln session new room.png --title \"The green room\" --key lk_...
      prints the session's id; LIMEKILN_URL and LIMEKILN_KEY save writing where and who
  limekiln session edit 01939e0c-... \"make the sofa red\" -o red.png
  limekiln session edit 01939e0c-... \"make the wall blue\"
      goes on from the red sofa
  limekiln session undo 01939e0c-...
  limekiln session tree 01939e0c-...
      picture
      1  make the sofa red   <- head
      2  make the wall blue
  limekiln session branch 01939e0c-... red-one
      a name for the turn at the head; `session jump` takes it
  limekiln session show 01939e0c-... -o now.png --matte turns.png
  limekiln verify room.png now.png turns.png
      all that no turn was about is the picture's own";

/// The parts of `session`.
#[derive(Debug, Subcommand)]
pub(crate) enum Session {
    New(SessionNewArgs),
    Edit(Box<SessionEditArgs>),
    /// Go back to the turn before, or to the picture
    Undo(SessionOneArgs),
    /// Go forth again, to the side of the tree that was left last
    Redo(SessionOneArgs),
    Jump(SessionJumpArgs),
    /// Draw the session's turns
    Tree(SessionOneArgs),
    Show(SessionShowArgs),
    Branch(SessionBranchArgs),
    /// Delete the session with all its turns and their results; the picture that it started from stays
    Delete(SessionOneArgs),
}

/// Start a session
///
/// Prints its id.
#[derive(Args, Debug)]
pub(crate) struct SessionNewArgs {
    /// The picture that it starts from (PNG, JPEG, WebP or TIFF); - is stdin [default: that of `limekiln submit --session`]
    #[arg(value_name = "IMAGE")]
    pub(crate) image: Option<PathBuf>,

    /// What the session is called
    #[arg(long, value_name = "TEXT")]
    pub(crate) title: Option<String>,

    /// Print the session as JSON
    #[arg(long)]
    pub(crate) json: bool,

    #[command(flatten)]
    pub(crate) gateway: GatewayArgs,
}

/// Post a turn, watch it, and fetch the result
///
/// It builds on the session's head. With --detach it only prints the edit's id; the next turn may be posted before this one is done.
#[derive(Args, Debug)]
pub(crate) struct SessionEditArgs {
    /// Id of the session
    #[arg(value_name = "SESSION")]
    pub(crate) session: SessionId,

    /// Build on this turn instead of the head: its number, its id, or a branch
    #[arg(long, value_name = "TURN")]
    pub(crate) parent: Option<String>,

    #[command(flatten)]
    pub(crate) request: RequestArgs,
}

/// Go to any turn
#[derive(Args, Debug)]
pub(crate) struct SessionJumpArgs {
    /// Id of the session
    #[arg(value_name = "SESSION")]
    pub(crate) session: SessionId,

    /// The turn: its number, its id, a branch, or `picture`
    #[arg(value_name = "TURN")]
    pub(crate) turn: String,

    /// Print the session as JSON
    #[arg(long)]
    pub(crate) json: bool,

    #[command(flatten)]
    pub(crate) gateway: GatewayArgs,
}

/// A session, and nothing else.
#[derive(Args, Debug)]
pub(crate) struct SessionOneArgs {
    /// Id of the session
    #[arg(value_name = "SESSION")]
    pub(crate) session: SessionId,

    /// Print the session as JSON
    #[arg(long)]
    pub(crate) json: bool,

    #[command(flatten)]
    pub(crate) gateway: GatewayArgs,
}

/// Show the session: its head, its turns and its branches
#[derive(Args, Debug)]
pub(crate) struct SessionShowArgs {
    #[command(flatten)]
    pub(crate) one: SessionOneArgs,

    /// Also write the picture at the head: .png, .webp (both lossless) or .jpg
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,

    /// Also write the union of the mattes of all turns up to the head, for `limekiln verify`
    #[arg(long, value_name = "PNG")]
    pub(crate) matte: Option<PathBuf>,
}

/// Name a turn, or list the names
///
/// A branch stays where it is, whatever is posted, until it is moved. Without NAME all branches are listed.
#[derive(Args, Debug)]
pub(crate) struct SessionBranchArgs {
    /// Id of the session
    #[arg(value_name = "SESSION")]
    pub(crate) session: SessionId,

    /// Name of the branch: a-z, 0-9, '.', '_' and '-'
    #[arg(value_name = "NAME")]
    pub(crate) name: Option<String>,

    /// The turn that it names from now on, by its number, its id, or a branch [default for a new one: the head]
    #[arg(long, value_name = "TURN", requires = "name")]
    pub(crate) at: Option<String>,

    /// Give it another name
    #[arg(long, value_name = "NAME", requires = "name")]
    pub(crate) rename: Option<String>,

    /// Delete it; the turns stay
    #[arg(long, requires = "name", conflicts_with_all = ["at", "rename"])]
    pub(crate) delete: bool,

    /// Print the branch, or all of them, as JSON
    #[arg(long)]
    pub(crate) json: bool,

    #[command(flatten)]
    pub(crate) gateway: GatewayArgs,
}
