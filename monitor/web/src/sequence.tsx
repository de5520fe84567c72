// The messages behind a takeover, as a sequence diagram with the paper's names.

import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import { Dialog } from "./dialog";
import { line, sequence } from "./requests";
import type { Said, Sequence } from "./state";

const APART = 190;
const STEP = 46;
const LEFT = 150;
const TOP = 62;

export function SequenceDialog({ event, close }: { event: string; close: () => void }): JSX.Element {
  const [found, setFound] = useState<Sequence | null>(null);
  const [failure, setFailure] = useState("");
  useEffect(() => {
    sequence(event).then(setFound, (refused: unknown) => setFailure(line(refused)));
  }, [event]);
  return (
    <Dialog title={found?.title ?? "Messages"} wide close={close}>
      {failure !== "" && <p class="failure" role="alert">{failure}</p>}
      {failure === "" && found === null && <p class="waiting">Asking the monitor ...</p>}
      {found !== null && <Diagram found={found} />}
      {found !== null && <InWords found={found} />}
    </Dialog>
  );
}

function Diagram({ found }: { found: Sequence }): JSX.Element {
  const width = LEFT + APART * Math.max(1, found.participants.length - 1) + 110;
  const height = TOP + STEP * (found.messages.length + 1);
  const places = new Map(found.participants.map((participant, place) => [participant.name, LEFT + place * APART]));
  return (
    <div class="diagram" tabIndex={0} role="group" aria-label="sequence diagram; the same in words is below">
      <svg viewBox={`0 0 ${width} ${height}`} width={width} height={height} aria-hidden="true" focusable="false">
        {found.participants.map(({ name, dead }) => (
          <Lifeline key={name} name={name} dead={dead} x={places.get(name) ?? 0} height={height} />
        ))}
        {found.messages.map((message, place) => (
          <MessageArrow key={place} message={message} places={places} y={TOP + STEP * (place + 0.75)} />
        ))}
      </svg>
    </div>
  );
}

function Lifeline({ name, dead, x, height }: { name: string; dead: boolean; x: number; height: number }): JSX.Element {
  return (
    <g class={`lifeline ${dead ? "dead" : ""}`}>
      <path class="life" d={`M${x} 34V${height - 8}`} />
      <rect x={x - 62} y="4" width="124" height="30" rx="6" />
      <text x={x} y="24">{dead ? `${name} (dead)` : name}</text>
      {dead && <path class="end" d={`M${x - 7} 41l14 14m0-14l-14 14`} />}
    </g>
  );
}

function MessageArrow({ message, places, y }: { message: Said; places: Map<string, number>; y: number }): JSX.Element {
  const [from, to] = [places.get(message.from) ?? LEFT, places.get(message.to) ?? LEFT];
  const towards = to >= from ? 1 : -1;
  const own = from === to;
  const way = own ? `M${from} ${y - 6}h34v14h-28` : `M${from} ${y}H${to - 7 * towards}`;
  const head = own ? `M${from} ${y + 8}l9-5v10z` : `M${to} ${y}l${-10 * towards} -5v10z`;
  const middle = own ? from + 42 : (from + to) / 2;
  return (
    <g class="message">
      <text class="at" x="8" y={y + 4}>
        +{message.at_s.toFixed(3)} s
      </text>
      <path class="way" d={way} />
      <path class="head" d={head} />
      <text class={own ? "name own" : "name"} x={middle} y={y - 7}>
        {message.name}
      </text>
      {message.note !== null && (
        <text class={own ? "note own" : "note"} x={middle} y={y + 15}>
          {message.note}
        </text>
      )}
    </g>
  );
}

/** For who hears the page; and to copy from. */
function InWords({ found }: { found: Sequence }): JSX.Element {
  return (
    <details>
      <summary>The same in words</summary>
      <ol class="in-words">
        {found.messages.map((message, place) => (
          <li key={place}>
            {message.at_s.toFixed(3)} s: {message.from} to {message.to}: {message.name}
            {message.note !== null && ` (${message.note})`}
          </li>
        ))}
      </ol>
    </details>
  );
}
