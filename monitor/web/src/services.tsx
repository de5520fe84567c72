// Each service: where it is, where its name leads, and who could run it.

import type { JSX } from "preact";
import { memo } from "preact/compat";
import { hue, Mark, State } from "./signs";
import type { CandidateShown, ServiceShown } from "./state";
import { useSurroundings } from "./surroundings";
import { full, useNow, whole } from "./times";

const HEADINGS = ["Service", "State", "Holder", "Secondary", "Its name leads to", "Candidates, best first"];

export function Services(): JSX.Element {
  const { state, session } = useSurroundings();
  const names = Object.keys(state.services).sort();
  return (
    <section class="panel" aria-labelledby="services-title" id="services">
      <h2 id="services-title">Services</h2>
      {names.length === 0 ? (
        <p class="empty">No service is defined yet: the first server that offers one defines it.</p>
      ) : (
        <table class="rows" role="table">
          <thead role="rowgroup">
            <tr role="row">
              {HEADINGS.map((heading) => (
                <th key={heading} role="columnheader" scope="col">
                  {heading}
                </th>
              ))}
            </tr>
          </thead>
          <tbody role="rowgroup">
            {names.map((name) => {
              const service = state.services[name];
              return service && <Row key={name} service={service} colour={hue(name, state.services)} operator={session?.operator ?? false} />;
            })}
          </tbody>
        </table>
      )}
    </section>
  );
}

interface RowShown {
  readonly service: ServiceShown;
  readonly colour: string;
  readonly operator: boolean;
}

const Row = memo(function Row({ service, colour, operator }: RowShown): JSX.Element {
  const { wish } = useSurroundings();
  return (
    <tr role="row" data-service={service.name}>
      <th role="rowheader" scope="row">
        <span class={`chip ${colour}`}>
          <b>{service.name}</b>
        </span>
        <span class="fine address">
          {service.fqdn}:{service.port}
        </span>
        {!service.exclusive && <span class="fine">two may serve it during a move</span>}
        {operator && (
          <button type="button" class="small" onClick={() => wish({ action: "move", service: service.name })}>
            Move {service.name} ...
          </button>
        )}
      </th>
      <td role="cell" data-heading="State">
        <State state={service.state} />
        {service.reason !== null && <span class="fine">{service.reason}</span>}
        <Since at={service.since_at} />
      </td>
      <td role="cell" data-heading="Holder">
        <Holder service={service} />
      </td>
      <td role="cell" data-heading="Secondary">
        <Secondary service={service} />
      </td>
      <td role="cell" data-heading="Its name leads to">
        <Name service={service} />
      </td>
      <td role="cell" data-heading="Candidates, best first">
        <Candidates candidates={service.candidates} />
      </td>
    </tr>
  );
});

function Since({ at }: { at: number }): JSX.Element {
  const { zone, offset_s } = useSurroundings();
  return (
    <span class="fine" title={`since ${full(at, zone)}`}>
      for {whole(useNow() + offset_s - at)}
    </span>
  );
}

function Holder({ service }: { service: ServiceShown }): JSX.Element {
  return (
    <>
      <b>{service.holder ?? "nobody"}</b>
      <span class="fine">{service.holder === service.home ? "at home" : `away from home, ${service.home}`}</span>
      <span class="fine">epoch {service.epoch}</span>
    </>
  );
}

function Secondary({ service }: { service: ServiceShown }): JSX.Element {
  if (service.secondary === null) {
    return (
      <span class="tone-warn">
        <Mark sign="warn" />
        none
      </span>
    );
  }
  return (
    <>
      <b>{service.secondary}</b>
      {service.standby !== null && <span class="fine">{service.standby}</span>}
      <span class="fine">{service.beating ? "hears the keep-alives" : "no keep-alives now"}</span>
    </>
  );
}

function Name({ service }: { service: ServiceShown }): JSX.Element {
  return (
    <>
      <span class="address">{service.dns_address ?? "nowhere"}</span>
      {service.dns !== null && <State state={service.dns.state} />}
      {service.dns !== null && service.dns.state !== "converged" && <span class="fine">{service.dns.text}</span>}
    </>
  );
}

function Candidates({ candidates }: { candidates: readonly CandidateShown[] }): JSX.Element {
  if (candidates.length === 0) return <span class="fine">none</span>;
  return (
    <ol class="candidates">
      {candidates.map((candidate) => (
        <li key={candidate.server} class={candidate.ok ? "" : "out"}>
          <Mark sign={candidate.ok ? "ok" : "alarm"} />
          <b>{candidate.server}</b> {candidate.ok ? <span>priority {candidate.priority ?? "?"}</span> : <span>{candidate.why_not ?? "cannot"}</span>}
        </li>
      ))}
    </ol>
  );
}
