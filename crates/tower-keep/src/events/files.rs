//! A session's temporary files go with it.

use tower_keep_core::SessionId;

use super::Events;

#[cfg(feature = "temp")]
impl Events {
    pub(crate) fn with_temp(self, temp: Option<crate::temp::Temp>) -> Self {
        Self { temp, ..self }
    }

    pub(crate) const fn temp(&self) -> Option<&crate::temp::Temp> {
        self.temp.as_ref()
    }

    pub(super) const fn has_files(&self) -> bool {
        self.temp.is_some()
    }

    pub(super) fn forget_files(&self, id: SessionId) {
        if let Some(temp) = &self.temp {
            temp.forget(id);
        }
    }
}

#[cfg(not(feature = "temp"))]
#[expect(clippy::unused_self, reason = "there are none without the feature")]
impl Events {
    pub(super) const fn has_files(&self) -> bool {
        false
    }

    pub(super) const fn forget_files(&self, _: SessionId) {}
}
