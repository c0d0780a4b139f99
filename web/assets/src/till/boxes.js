/** The page's templates, filled in: `box("good", {why: "..."})`. A slot that is given null is hidden. */
export function boxes(page) {
  return (name, slots = {}) => {
    const made = page.querySelector(`template[data-box="${name}"]`).content.cloneNode(true);
    for (const [slot, text] of Object.entries(slots)) {
      const place = made.querySelector(`[data-slot="${slot}"]`);
      if (!place) continue;
      place.hidden = text === null;
      if (typeof text === "string") (place.querySelector("dd") ?? place).textContent = text;
    }
    return made;
  };
}

/** Fen as the server writes them. */
export function yuan(fen) {
  return fen === null ? null : `¥${Math.floor(fen / 100)}.${String(fen % 100).padStart(2, "0")}`;
}

/** What an answer's box shows of a verification. */
export function slotsOf(done) {
  return {
    why: done.title,
    amounts: done.off_the_bill ? undefined : null,
    bill: yuan(done.bill_fen),
    discount: `−${yuan(done.discount_fen)}`,
    pays: yuan(done.pays_fen),
  };
}
