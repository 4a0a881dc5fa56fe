//! The page's content. `maud` escapes whatever is put into it.

use maud::{Markup, PreEscaped, html};
use tower_keep::SessionId;

use crate::agent::Kind;
use crate::device::{Device, rfc_3339};
use crate::notice::Notice;
use crate::place::Place;
use crate::texts::Texts;

/// What the page shows.
pub(crate) struct List<'a> {
    pub(crate) place: &'a Place,
    pub(crate) texts: &'a dyn Texts,
    /// What every form carries.
    pub(crate) token: &'a str,
    pub(crate) notice: Option<Notice>,
    pub(crate) current: Option<Device>,
    pub(crate) others: Vec<Device>,
    /// The list goes on below this one.
    pub(crate) next: Option<SessionId>,
}

impl List<'_> {
    pub(crate) fn content(&self) -> Markup {
        let texts = self.texts;
        html! {
            section .keep-devices lang=(texts.lang()) dir=(texts.dir()) aria-labelledby="keep-title" {
                h1 #keep-title { (texts.title()) }
                p .keep-introduction { (texts.introduction()) }
                @if let Some(notice) = &self.notice { (self.told(notice)) }
                @if let Some(current) = &self.current {
                    section aria-labelledby="keep-this" {
                        h2 #keep-this { (texts.this_device()) }
                        div .keep-card.keep-current { (self.card(current)) }
                    }
                }
                section aria-labelledby="keep-others" {
                    h2 #keep-others { (texts.other_devices()) }
                    @if self.others.is_empty() {
                        p { (texts.no_other_devices()) }
                    } @else {
                        // The role, because Safari takes a list without bullets for none.
                        ul role="list" {
                            @for device in &self.others {
                                li .keep-card { (self.card(device)) }
                            }
                        }
                        form .keep-all method="post" action=(self.place.below("others")) {
                            (self.hidden_token())
                            button { (texts.log_out_others()) }
                        }
                    }
                    @if let Some(next) = self.next {
                        p { a href={ (self.place.list()) "?before=" (next) } { (texts.more()) } }
                    }
                }
            }
        }
    }

    /// It has the focus, because a screen reader does not read out what is there from the start.
    fn told(&self, notice: &Notice) -> Markup {
        let role = if notice.is_problem() {
            "alert"
        } else {
            "status"
        };
        html! {
            p .keep-notice.keep-problem[notice.is_problem()] role=(role) tabindex="-1" autofocus {
                (notice.text(self.texts))
            }
        }
    }

    fn card(&self, device: &Device) -> Markup {
        let (texts, id) = (self.texts, device.id);
        let name = texts.device(device.agent.browser, device.agent.system);
        html! {
            (icon(device.agent.kind))
            h3 id={ "keep-name-" (id) } { (name) }
            dl {
                (row(texts.last_seen(), &html! {
                    @if device.current {
                        strong { (texts.active_now()) }
                    } @else {
                        span id={ "keep-seen-" (id) } {
                            time datetime=(rfc_3339(device.last_seen)) { (texts.ago(device.unseen_for)) }
                        }
                        " " span .keep-quiet { "(" (texts.instant(device.last_seen)) ")" }
                    }
                }))
                (row(texts.logged_in(), &html! {
                    time datetime=(rfc_3339(device.logged_in)) { (texts.instant(device.logged_in)) }
                }))
                (row(texts.address(), &html! {
                    @match device.address() {
                        Some(address) => bdi { (address) },
                        None => (texts.unknown_address()),
                    }
                }))
            }
            form method="post" action=(self.place.below(id)) {
                (self.hidden_token())
                button id={ "keep-end-" (id) }
                    aria-labelledby={ "keep-end-" (id) " keep-name-" (id) }
                    aria-describedby=[(!device.current).then(|| format!("keep-seen-{id}"))] {
                    (texts.log_out())
                }
            }
        }
    }

    fn hidden_token(&self) -> Markup {
        html! { input type="hidden" name="_token" value=(self.token); }
    }
}

fn row(name: &str, value: &Markup) -> Markup {
    html! { div { dt { (name) } dd { (value) } } }
}

/// A picture of the kind of device, for those who see it; it says nothing that the name does not.
fn icon(kind: Kind) -> Markup {
    let drawing = match kind {
        Kind::Computer => {
            r#"<rect x="4" y="5" width="16" height="10.5" rx="1.5"/><path d="M2 19h20"/>"#
        }
        Kind::Phone => {
            r#"<rect x="7" y="2.5" width="10" height="19" rx="2"/><path d="M11 18.5h2"/>"#
        }
        Kind::Tablet => {
            r#"<rect x="4.5" y="2.5" width="15" height="19" rx="2"/><path d="M10.5 18.5h3"/>"#
        }
        Kind::Television => {
            r#"<rect x="2.5" y="4.5" width="19" height="12.5" rx="1.5"/><path d="M8 20.5h8"/>"#
        }
        Kind::Unknown => {
            r#"<circle cx="12" cy="12" r="9"/><path d="M9.5 9.7a2.5 2.5 0 1 1 3.6 2.2c-.7.4-1.1.9-1.1 1.6v.4M12 16.8v.1"/>"#
        }
    };
    html! {
        svg .keep-icon viewBox="0 0 24 24" width="24" height="24" aria-hidden="true" {
            (PreEscaped(drawing))
        }
    }
}
