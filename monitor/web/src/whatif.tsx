// What would move where if a server died now.

import type { JSX } from "preact";
import { hue, Mark } from "./signs";
import type { IfItDied, ServerShown } from "./state";
import { useSurroundings } from "./surroundings";

export function WhatIf(): JSX.Element {
  const { state } = useSurroundings();
  const servers = Object.values(state.servers)
    .filter((server) => server.state !== "left")
    .sort((one, other) => one.name.localeCompare(other.name));
  return (
    <section class="panel" aria-labelledby="whatif-title" id="whatif">
      <h2 id="whatif-title">What if it died now?</h2>
      {servers.length === 0 ? <p class="empty">There is no server to die.</p> : <ul class="deaths">{servers.map(death)}</ul>}
    </section>
  );
}

function death(server: ServerShown): JSX.Element {
  return (
    <li key={server.name} data-if={server.name}>
      <h3>
        if <b>{server.name}</b> died
      </h3>
      {server.if_it_died.length === 0 ? (
        <p class="nothing">nothing would move</p>
      ) : (
        <ul>
          {server.if_it_died.map((loss) => (
            <Loss key={loss.service} loss={loss} />
          ))}
        </ul>
      )}
    </li>
  );
}

function Loss({ loss }: { loss: IfItDied }): JSX.Element {
  const { state } = useSurroundings();
  return (
    <li>
      <span class={`chip open ${hue(loss.service, state.services)}`}>{loss.service}</span>
      {loss.to === null ? (
        <b class="tone-alarm">
          <Mark sign="alarm" />
          nobody
        </b>
      ) : (
        <b>
          <Mark sign="moving" />
          {loss.to}
        </b>
      )}
      <span class="fine">{loss.text}</span>
    </li>
  );
}
