// What happened before the events that the page was sent: asked for when somebody wants to see it.

import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { history, line } from "./requests";
import type { EventShown } from "./state";

interface Older {
  /** The oldest first, as all events. */
  readonly events: readonly EventShown[];
  /** The button with which to ask for more; null once there are none. */
  readonly button: JSX.Element | null;
}

/** Those before the events that are known, as far as they were asked for. */
export function useOlder(known: readonly EventShown[]): Older {
  const [asked, setAsked] = useState<readonly EventShown[]>([]);
  const [over, setOver] = useState(false);
  const [failure, setFailure] = useState("");
  const seen = new Set(known.map((event) => event.id));
  const events = asked.filter((event) => !seen.has(event.id));
  const first = events[0] ?? known[0];
  const more = (): void => {
    setFailure("");
    history(first?.id ?? "").then(
      (page) => {
        setAsked((before) => [...page.events, ...before]);
        setOver(page.before === null);
      },
      (refused: unknown) => setFailure(line(refused)),
    );
  };
  const button = (
    <p class="older">
      <button type="button" onClick={more}>
        Older events
      </button>{" "}
      {failure !== "" && <span class="failure">{failure}</span>}
    </p>
  );
  return { events, button: over || first === undefined ? null : button };
}
