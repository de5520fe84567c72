// What happened, in plain words, the newest first.

import type { JSX } from "preact";
import { memo } from "preact/compat";
import { useMemo, useState } from "preact/hooks";
import { useOlder } from "./older";
import { hue, Mark, type Sign } from "./signs";
import type { EventShown } from "./state";
import { useSurroundings } from "./surroundings";
import { clock, day, full, OWN_ZONE } from "./times";

const TROUBLE = new Set(["silent", "lapsed", "unheld", "start-failed", "store-failed", "suspect", "unprepared", "unstaged", "unnamed", "refused", "restarted"]);
const CHANGE = new Set(["granted", "serving", "released", "move", "move-over", "finishing", "asking", "unheld"]);
const GOOD = new Set(["heard", "trusted", "converged", "continued", "recorded", "prepared", "stored", "staged"]);

type Sort = "everything" | "changes of holder" | "troubles";
const SORTS: readonly Sort[] = ["everything", "changes of holder", "troubles"];

interface Filter {
  readonly server: string;
  readonly service: string;
  readonly sort: Sort;
}

export function Timeline({ zone, setZone }: { zone: string; setZone: (zone: string) => void }): JSX.Element {
  const { state, showSequence } = useSurroundings();
  const [filter, setFilter] = useState<Filter>({ server: "", service: "", sort: "everything" });
  const older = useOlder(state.events);
  const events = useMemo(
    () => [...older.events, ...state.events].filter((event) => passes(event, filter)).reverse(),
    [state.events, filter, older.events],
  );
  return (
    <section class="panel timeline" aria-labelledby="timeline-title" id="timeline">
      <h2 id="timeline-title">What happened</h2>
      <Filters filter={filter} setFilter={setFilter} zone={zone} setZone={setZone} />
      {events.length === 0 ? (
        <p class="empty">{state.events.length === 0 ? "Nothing has happened yet." : "Nothing of this kind has happened lately."}</p>
      ) : (
        <ol class="events" tabIndex={0} aria-label="events, the newest first">
          {events.map((event, place) => (
            <Line
              key={event.id}
              event={event}
              newDay={day(event.at, zone) !== day(events[place - 1]?.at ?? 0, zone)}
              zone={zone}
              colour={event.service === null ? "" : hue(event.service, state.services)}
              showSequence={showSequence}
            />
          ))}
        </ol>
      )}
      {older.button}
    </section>
  );
}

function passes(event: EventShown, filter: Filter): boolean {
  if (filter.server !== "" && event.server !== filter.server && !names(event, filter.server)) return false;
  if (filter.service !== "" && event.service !== filter.service) return false;
  return filter.sort === "everything" || (filter.sort === "troubles" ? TROUBLE : CHANGE).has(event.kind);
}

/** Whether the evidence names that server: www granted to email concerns http, which had it. */
function names(event: EventShown, server: string): boolean {
  return ["from", "holder", "secondary", "target", "before"].some((key) => event.evidence[key] === server);
}

interface FiltersShown {
  readonly filter: Filter;
  readonly setFilter: (filter: Filter) => void;
  readonly zone: string;
  readonly setZone: (zone: string) => void;
}

function Filters({ filter, setFilter, zone, setZone }: FiltersShown): JSX.Element {
  const { state } = useSurroundings();
  const servers: Choice[] = [["", "all servers"], ...Object.keys(state.servers).sort().map(same)];
  const services: Choice[] = [["", "all services"], ...Object.keys(state.services).sort().map(same)];
  const zones: Choice[] = OWN_ZONE === "UTC" ? [["UTC", "UTC"]] : [[OWN_ZONE, OWN_ZONE.replace(/_/g, " ")], ["UTC", "UTC"]];
  return (
    <form class="filters" onSubmit={(submitted) => submitted.preventDefault()}>
      <Pick label="Server" choices={servers} value={filter.server} pick={(server) => setFilter({ ...filter, server })} />
      <Pick label="Service" choices={services} value={filter.service} pick={(service) => setFilter({ ...filter, service })} />
      <Pick label="Show" choices={SORTS.map(same)} value={filter.sort} pick={(sort) => setFilter({ ...filter, sort: sort as Sort })} />
      <Pick label="Times in" choices={zones} value={zone} pick={setZone} />
    </form>
  );
}

type Choice = readonly [value: string, text: string];
const same = (word: string): Choice => [word, word];

interface PickShown {
  readonly label: string;
  readonly choices: readonly Choice[];
  readonly value: string;
  readonly pick: (value: string) => void;
}

function Pick({ label, choices, value, pick }: PickShown): JSX.Element {
  return (
    <label>
      <span>{label}</span>
      <select aria-label={label} value={value} onChange={(changed) => pick(changed.currentTarget.value)}>
        {choices.map(([choice, text]) => (
          <option key={choice} value={choice}>
            {text}
          </option>
        ))}
      </select>
    </label>
  );
}

interface LineShown {
  readonly event: EventShown;
  readonly newDay: boolean;
  readonly zone: string;
  readonly colour: string;
  readonly showSequence: (event: string) => void;
}

/** Drawn once: an event does not change. */
const Line = memo(function Line({ event, newDay, zone, colour, showSequence }: LineShown): JSX.Element {
  return (
    <li class={`event tone-${signFor(event.kind)}`} data-kind={event.kind} data-event={event.id}>
      {newDay && <span class="day">{day(event.at, zone)}</span>}
      <time dateTime={new Date(event.at * 1000).toISOString()} title={full(event.at, zone)}>
        {clock(event.at, zone)}
        <small>.{String(Math.floor((event.at % 1) * 1000)).padStart(3, "0")}</small>
      </time>
      <Mark sign={signFor(event.kind)} />
      <div>
        <p>{event.text}</p>
        <p class="fine">
          <span>{event.kind}</span>
          {event.service !== null && <span class={`chip open ${colour}`}>{event.service}</span>}
          {event.server !== null && <span>{event.server}</span>}
          {event.epoch !== null && <span>epoch {event.epoch}</span>}
          {event.sequence && (
            <button type="button" class="small" onClick={() => showSequence(event.id)}>
              Messages
            </button>
          )}
        </p>
        <Evidence evidence={event.evidence} />
      </div>
    </li>
  );
});

function signFor(kind: string): Sign {
  if (TROUBLE.has(kind)) return "warn";
  if (CHANGE.has(kind)) return "moving";
  return GOOD.has(kind) ? "ok" : "note";
}

function Evidence({ evidence }: { evidence: EventShown["evidence"] }): JSX.Element | null {
  const entries = Object.entries(evidence);
  if (entries.length === 0) return null;
  return (
    <details>
      <summary>Evidence</summary>
      <dl class="evidence">
        {entries.map(([key, value]) => (
          <div key={key}>
            <dt>{key.replace(/_s$/, ", s").replace(/_/g, " ")}</dt>
            <dd>{typeof value === "string" ? value : JSON.stringify(value)}</dd>
          </div>
        ))}
      </dl>
    </details>
  );
}
