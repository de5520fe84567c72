// Signs beside words: whoever sees no colour sees a shape, and whoever sees neither hears the word.

import type { JSX } from "preact";

export type Sign = "ok" | "warn" | "alarm" | "silent" | "draining" | "left" | "moving" | "note";

const SHAPES: Record<Sign, JSX.Element> = {
  ok: <path d="M3 8.5 6.5 12 13 4.5" />,
  warn: <path d="M8 2 14.5 13.5h-13zM8 6.5v3.5M8 12v.2" />,
  alarm: <path d="M3.5 3.5l9 9M12.5 3.5l-9 9" />,
  silent: <path d="M2 8h2.5M7 8h2M11.500 8H14M3 3l10 10" />,
  draining: <path d="M8 2v10M4 8.500 8 12.500l4-4M3 14.500h10" />,
  left: <path d="M3 8h10" />,
  moving: <path d="M2 8h11M9 4l4 4-4 4" />,
  note: <path d="M8 7.500v5M8 3.700v.2" />,
};

/** A sign; the word for it stands beside it. */
export function Mark({ sign }: { sign: Sign }): JSX.Element {
  return (
    <svg class={`mark mark-${sign}`} viewBox="0 0 16 16" aria-hidden="true" focusable="false">
      {SHAPES[sign]}
    </svg>
  );
}

/** The sign for a server's or a service's state. */
export function signOf(state: string): Sign {
  const signs: Record<string, Sign> = {
    up: "ok",
    serving: "ok",
    converged: "ok",
    starting: "moving",
    stopping: "moving",
    pending: "moving",
    draining: "draining",
    silent: "silent",
    unserved: "alarm",
    wrong: "alarm",
    left: "left",
  };
  return signs[state] ?? "note";
}

/** A state in a word, with its sign. */
export function State({ state }: { state: string }): JSX.Element {
  return (
    <span class={`state tone-${signOf(state)}`}>
      <Mark sign={signOf(state)} />
      {state}
    </span>
  );
}

/** How many hues there are for services; the name always stands beside them. */
const HUES = 6;

/** The class with the hue of a service: by its place among all, so that it stays. */
export function hue(service: string, services: Readonly<Record<string, unknown>>): string {
  const place = Object.keys(services).sort().indexOf(service);
  return `hue-${(place < 0 ? 0 : place) % HUES}`;
}
