// What happened before the events that the page was sent: asked for when somebody wants to see it.

import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { followed, NOTHING, oldest, told } from "./past";
import { history, line } from "./requests";
import type { EventShown } from "./state";

interface Older {
  /** The oldest first, as all events. */
  readonly events: readonly EventShown[];
  /** The button with which to ask for more; null once there are none. */
  readonly button: JSX.Element | null;
}

/** Those before the events that are kept, as far as they were asked for. */
export function useOlder(kept: readonly EventShown[]): Older {
  const [before, setPast] = useState(NOTHING);
  const [failure, setFailure] = useState("");
  const past = followed(before, kept);
  if (past !== before) setPast(past);
  const first = oldest(past);
  const more = (): void => {
    if (first === undefined) return;
    setFailure("");
    setPast((now) => ({ ...now, wanted: true }));
    history(first.id).then(
      (page) => setPast((now) => told(now, first.id, page.events, page.before === null)),
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
  return { events: past.events, button: past.over || first === undefined ? null : button };
}
