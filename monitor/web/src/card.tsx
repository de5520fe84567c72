// A server as a card of the picture.

import type { JSX } from "preact";
import { memo } from "preact/compat";
import { Loadline } from "./loadline";
import { hue, Mark, State } from "./signs";
import type { ServerShown, ServiceShown } from "./state";
import { useSurroundings } from "./surroundings";
import { whole } from "./times";

type Services = Readonly<Record<string, ServiceShown>>;

/** Drawn anew only when the server or a service is. */
export const Card = memo(function Card({ server, services }: { server: ServerShown; services: Services }): JSX.Element {
  return (
    <article class={`card is-${server.state}`} data-server={server.name} aria-label={`server ${server.name}`}>
      <header>
        <h3>{server.name}</h3>
        <State state={server.state} />
      </header>
      <p class="where">
        <span class="address">{server.address}</span>
        {server.zone !== null && <span>zone {server.zone}</span>}
        <Seen server={server} />
        <ServerName server={server} />
      </p>
      <Load server={server} />
      <Holds server={server} services={services} />
      <Standing server={server} services={services} />
      <Buttons server={server} />
    </article>
  );
});

function Seen({ server }: { server: ServerShown }): JSX.Element | null {
  if (server.state !== "silent" || server.last_seen_s === null) return null;
  return <span class="tone-silent">no word for {whole(server.last_seen_s)}</span>;
}

function ServerName({ server }: { server: ServerShown }): JSX.Element | null {
  if (server.dns === null || server.dns.state === "converged") return null;
  return (
    <span class="tone-warn">
      <Mark sign="warn" />
      its name is {server.dns.state}: {server.dns.text}
    </span>
  );
}

function Load({ server }: { server: ServerShown }): JSX.Element {
  return (
    <div class="load">
      <Loadline loads={server.loads} level={server.loadlevel} />
      <dl>
        <div>
          <dt>load</dt>
          <dd>{server.loadlevel === null ? "?" : server.loadlevel.toFixed(2)}</dd>
        </div>
        <div title="lower is better">
          <dt>priority</dt>
          <dd>{server.priority ?? "?"}</dd>
        </div>
      </dl>
    </div>
  );
}

function Holds({ server, services }: { server: ServerShown; services: Services }): JSX.Element {
  if (server.holds.length === 0) return <p class="holds nothing">holds nothing</p>;
  return (
    <ul class="holds" aria-label={`held by ${server.name}`}>
      {server.holds.map((name) => (
        <Held key={name} name={name} server={server} services={services} />
      ))}
    </ul>
  );
}

function Held({ name, server, services }: { name: string; server: ServerShown; services: Services }): JSX.Element {
  const service = services[name];
  return (
    <li class={`chip ${hue(name, services)}`} data-holds={name}>
      <b>{name}</b>
      {service !== undefined && service.state !== "serving" && <span>{service.state}</span>}
      {service !== undefined && service.home !== server.name && <span>of {service.home}</span>}
      {service !== undefined && <span>epoch {service.epoch}</span>}
    </li>
  );
}

function Standing({ server, services }: { server: ServerShown; services: Services }): JSX.Element {
  if (server.stands_in_for.length === 0) return <p class="standing nothing">stands in for nothing</p>;
  return (
    <p class="standing">
      stands in for{" "}
      {server.stands_in_for.map((name) => (
        <span key={name} class={`chip open ${hue(name, services)}`}>
          {name}
        </span>
      ))}
    </p>
  );
}

function Buttons({ server }: { server: ServerShown }): JSX.Element | null {
  const { session, wish } = useSurroundings();
  if (!session?.operator || server.state === "left") return null;
  const action = server.state === "draining" ? "resume" : "drain";
  return (
    <footer>
      <button type="button" class="small" onClick={() => wish({ action, server: server.name })} aria-label={`${action} ${server.name}`}>
        {action === "drain" ? "Drain ..." : "Resume ..."}
      </button>
    </footer>
  );
}
