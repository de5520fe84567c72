// The cluster as a picture (the paper's Fig. 2, alive): servers, who stands in for whom, and what is moving.

import type { CSSProperties, JSX, RefObject } from "preact";
import { useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";
import { Arrows } from "./arrows";
import { Card } from "./card";
import { Movements } from "./movement";
import { type Box, CHANNEL, drawing, room, type Wire } from "./routes";
import { hue, Mark } from "./signs";
import type { ServiceShown, Snapshot } from "./state";
import { useSurroundings } from "./surroundings";

/** More cards than this are shown only when asked for: the page must stay quick, and the picture a picture. */
const MANY = 48;

export function Picture(): JSX.Element {
  const { state } = useSurroundings();
  const [all, setAll] = useState(false);
  const names = Object.keys(state.servers).sort();
  const shown = all || names.length <= MANY ? names : mostTelling(state, names);
  return (
    <section class="picture" aria-labelledby="picture-title" id="picture">
      <h2 id="picture-title">The cluster</h2>
      {names.length === 0 ? <NoServers /> : <Stage names={shown} />}
      {shown.length < names.length && (
        <button type="button" onClick={() => setAll(true)}>
          Show all {names.length} servers
        </button>
      )}
    </section>
  );
}

function NoServers(): JSX.Element {
  return (
    <p class="empty">
      No server has registered yet. <code>locum token</code> on the SDS makes a token, and <code>locum join</code> with it makes a server.
    </p>
  );
}

/** Those that are not up, and those with duties, before those that idle. */
function mostTelling(state: Snapshot, names: readonly string[]): string[] {
  const weight = (name: string): number => {
    const server = state.servers[name];
    if (server === undefined) return 2;
    return server.state !== "up" ? 0 : server.holds.length + server.stands_in_for.length > 0 ? 1 : 2;
  };
  return [...names].sort((one, other) => weight(one) - weight(other)).slice(0, MANY);
}

function Stage({ names }: { names: readonly string[] }): JSX.Element {
  const { state } = useSurroundings();
  const stage = useRef<HTMLDivElement>(null);
  const { boxes, width } = useBoxes(stage);
  const wires = useMemo(() => wiresOf(state), [state.services]);
  const drawn = useMemo(() => drawing(boxes, wires, width), [boxes, wires, width]);
  const space = { "--below": `${room(drawn.lanes)}px`, "--beside": `${drawn.channels * CHANNEL}px` } as CSSProperties;
  return (
    <div class="stage" ref={stage} style={space}>
      {names.map((name) => {
        const server = state.servers[name];
        return server === undefined ? null : <Card key={name} server={server} services={state.services} />;
      })}
      <Nobody services={state.services} />
      <Arrows drawing={drawn} />
      <Movements boxes={boxes} />
    </div>
  );
}

/** Services that no server holds have a card of their own, so that they cannot be overlooked. */
function Nobody({ services }: { services: Readonly<Record<string, ServiceShown>> }): JSX.Element | null {
  const unheld = Object.values(services).filter((service) => service.holder === null);
  if (unheld.length === 0) return null;
  return (
    <article class="card is-nobody" aria-label="services that nobody holds">
      <header>
        <h3>Nobody</h3>
        <span class="state tone-alarm">
          <Mark sign="alarm" />
          unserved
        </span>
      </header>
      <ul class="holds">
        {unheld.map((service) => (
          <li key={service.name} class={`chip open ${hue(service.name, services)}`}>
            <b>{service.name}</b> <span>{service.reason ?? "no reason is known"}</span>
          </li>
        ))}
      </ul>
    </article>
  );
}

function wiresOf(state: Snapshot): Wire[] {
  return Object.values(state.services).flatMap((service) =>
    service.holder !== null && service.secondary !== null
      ? [{ service: service.name, from: service.holder, to: service.secondary }]
      : [],
  );
}

interface Measured {
  readonly boxes: readonly Box[];
  readonly width: number;
}

/** Where the cards lie; looked at after each drawing, and whenever the picture changes its size. */
function useBoxes(stage: RefObject<HTMLDivElement | null>): Measured {
  const [measured, setMeasured] = useState<Measured>({ boxes: [], width: 0 });
  const measure = (): void => {
    const found = stage.current;
    if (found === null) return;
    const fresh = { boxes: boxesOf(found), width: found.clientWidth };
    setMeasured((before) => (JSON.stringify(before) === JSON.stringify(fresh) ? before : fresh));
  };
  useLayoutEffect(measure);
  useLayoutEffect(() => {
    if (stage.current === null) return undefined;
    const observer = new ResizeObserver(measure);
    observer.observe(stage.current);
    return () => observer.disconnect();
  }, []);
  return measured;
}

function boxesOf(stage: HTMLElement): Box[] {
  return [...stage.querySelectorAll<HTMLElement>("[data-server]")].map((card) => ({
    name: card.dataset["server"] ?? "",
    left: card.offsetLeft,
    top: card.offsetTop,
    width: card.offsetWidth,
    height: card.offsetHeight,
  }));
}
