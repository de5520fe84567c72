// The demo's own panel: break parts, and mend them.

import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { demo, line } from "./requests";
import { Mark } from "./signs";
import type { DemoWish, Outcome } from "./state";
import { useSurroundings } from "./surroundings";

type Verb = DemoWish["verb"];
const VERBS: readonly Verb[] = ["kill", "start", "pause", "continue", "stop"];
const CENTRAL = ["sds", "store", "dns"];

export function DemoPanel(): JSX.Element | null {
  const { state, session, openLogin } = useSurroundings();
  const [outcome, setOutcome] = useState<Outcome | null>(null);
  const [busy, setBusy] = useState(false);
  if (!state.head.demo) return null;
  const order = (wish: DemoWish): void => {
    setBusy(true);
    demo(session?.csrf ?? "", wish)
      .then(setOutcome, (refused: unknown) => setOutcome({ done: false, text: line(refused) }))
      .finally(() => setBusy(false));
  };
  const servers = Object.keys(state.servers).sort();
  return (
    <section class="panel demo" aria-labelledby="demo-title" id="demo">
      <h2 id="demo-title">
        Break something <small>the demo's own, not part of a cluster of yours</small>
      </h2>
      {session?.operator ? (
        <ul class="parts">
          {[...servers, ...CENTRAL].map((part) => (
            <Part key={part} part={part} loadable={servers.includes(part)} busy={busy} order={order} />
          ))}
        </ul>
      ) : (
        <p class="empty">
          Only a logged-in operator may kill, pause and load the demo's parts.{" "}
          <button type="button" onClick={openLogin}>
            Log in
          </button>
        </p>
      )}
      <p class="said" role="status">
        {outcome !== null && <Mark sign={outcome.done ? "ok" : "alarm"} />}
        {outcome?.text}
      </p>
    </section>
  );
}

interface PartShown {
  readonly part: string;
  readonly loadable: boolean;
  readonly busy: boolean;
  readonly order: (wish: DemoWish) => void;
}

function Part({ part, loadable, busy, order }: PartShown): JSX.Element {
  return (
    <li>
      <b>{part}</b>
      <span class="verbs">
        {VERBS.map((verb) => (
          <button key={verb} type="button" class="small" disabled={busy} onClick={() => order({ verb, part })} aria-label={`${verb} ${part}`}>
            {verb}
          </button>
        ))}
      </span>
      {loadable && <Loading part={part} busy={busy} order={order} />}
    </li>
  );
}

function Loading({ part, busy, order }: Omit<PartShown, "loadable">): JSX.Element {
  const [level, setLevel] = useState(0.9);
  return (
    <span class="verbs">
      <label>
        <span>load {level.toFixed(1)}</span>
        <input
          type="range"
          min="0"
          max="1"
          step="0.1"
          value={level}
          aria-label={`loadlevel for ${part}`}
          onInput={(changed) => setLevel(Number(changed.currentTarget.value))}
        />
      </label>
      <button type="button" class="small" disabled={busy} onClick={() => order({ verb: "load", part, level })} aria-label={`load ${part}`}>
        load
      </button>
      <button type="button" class="small" disabled={busy} onClick={() => order({ verb: "load", part })} aria-label={`load ${part} off`}>
        off
      </button>
    </span>
  );
}
