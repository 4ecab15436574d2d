"use strict";

// The element with this id.
function at(id) {
  return document.getElementById(id);
}

// Shows where this relay is reached, wherever the page names it.
function nameOrigin() {
  for (const place of document.querySelectorAll(".origin")) {
    place.textContent = location.origin;
  }
}

