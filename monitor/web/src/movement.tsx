// A service that changes its holder is seen to move: its chip goes from one card to the other, and the way stays a while.

import type { JSX } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { type Box, arc } from "./routes";
import { hue } from "./signs";
import type { Passage } from "./state";
import { useSurroundings } from "./surroundings";
import { useNow } from "./times";

/** How long the way of a movement that is over stays in the picture. */
const STAYS_S = 12;

/** How long a chip takes over its way.  The service itself may be far quicker. */
const WAY_MS = 1800;

export function Movements({ boxes }: { boxes: readonly Box[] }): JSX.Element {
  const { state, offset_s } = useSurroundings();
  const now = useNow() + offset_s;
  const places = new Map(boxes.map((box) => [box.name, box]));
  const fresh = state.passages.filter((passage) => passage.ended_at === null || now - passage.ended_at < STAYS_S);
  return (
    <div class="movements" aria-hidden="true">
      {fresh.map((passage) => {
        const [from, to] = [places.get(passage.from ?? ""), places.get(passage.to ?? "")];
        if (from === undefined || to === undefined || from === to) return null;
        return <Movement key={`${passage.id} ${passage.to}`} passage={passage} from={from} to={to} />;
      })}
    </div>
  );
}

function Movement({ passage, from, to }: { passage: Passage; from: Box; to: Box }): JSX.Element {
  const { state } = useSurroundings();
  const { path, top } = arc(from, to);
  const colour = hue(passage.service, state.services);
  return (
    <div class={`movement ${colour} ${passage.state === "done" ? "done" : "under-way"}`} data-passage={passage.service}>
      <svg>
        <path d={path} />
      </svg>
      <Traveller passage={passage} path={path} colour={colour} />
      <span class="caption" style={{ left: `${top.x}px`, top: `${top.y}px` }}>
        {passage.service}: {passage.kind} {passage.state === "done" ? "done" : "..."}
      </span>
    </div>
  );
}

/** The chip on its way, once; not for who wants no motion. */
function Traveller({ passage, path, colour }: { passage: Passage; path: string; colour: string }): JSX.Element {
  const chip = useRef<HTMLSpanElement>(null);
  useEffect(() => {
    if (chip.current === null || window.matchMedia("(prefers-reduced-motion: reduce)").matches) return;
    const way = [
      { offsetDistance: "0%", opacity: 0 },
      { opacity: 1, offset: 0.1 },
      { opacity: 1, offset: 0.9 },
      { offsetDistance: "100%", opacity: 0 },
    ];
    chip.current.animate(way, { duration: WAY_MS, easing: "ease-in-out" });
  }, []);
  return (
    <span ref={chip} class={`chip traveller ${colour}`} style={{ offsetPath: `path("${path}")` }}>
      <b>{passage.service}</b>
    </span>
  );
}
