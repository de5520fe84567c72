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
          <Lifeline key={name} name={name} x={places.get(name) ?? 0} height={height} end={dead ? lastWord(found, name) : null} />
        ))}
        {found.messages.map((message, place) => (
          <MessageArrow key={place} message={message} places={places} y={rowOf(place)} />
        ))}
      </svg>
    </div>
  );
}

/** Where the lifeline of who died ends: after the last that it said. */
function lastWord(found: Sequence, name: string): number {
  const last = found.messages.map((message) => message.from).lastIndexOf(name);
  return last < 0 ? TOP - 14 : rowOf(last) + 22;
}

function rowOf(place: number): number {
  return TOP + STEP * (place + 0.75);
}

interface LifelineShown {
  readonly name: string;
  readonly x: number;
  readonly height: number;
  /** Where it ends; null if it goes on. */
  readonly end: number | null;
}

function Lifeline({ name, x, height, end }: LifelineShown): JSX.Element {
  return (
    <g class={`lifeline ${end === null ? "" : "dead"}`}>
      <path class="life" d={`M${x} 34V${end ?? height - 8}`} />
      {end !== null && <path class="gone" d={`M${x} ${end}V${height - 8}`} />}
      <rect x={x - 62} y="4" width="124" height="30" rx="6" />
      <text x={x} y="24">{end === null ? name : `${name} (dead)`}</text>
      {end !== null && <path class="end" d={`M${x - 7} ${end - 7}l14 14m0-14l-14 14`} />}
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
