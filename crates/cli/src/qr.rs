//! QR codes for a terminal.

use qrcode::{EcLevel, QrCode, render::unicode::Dense1x2, types::QrError};

/// Draws a text as a QR code.
///
/// # Errors
/// When the text is too long for one.
pub(crate) fn draw(text: &str) -> Result<String, QrError> {
    let code = QrCode::with_error_correction_level(text, EcLevel::L)?;
    // Terminals mostly write light on dark, and a code is dark on light.
    Ok(code
        .render::<Dense1x2>()
        .dark_color(Dense1x2::Light)
        .light_color(Dense1x2::Dark)
        .build())
}
