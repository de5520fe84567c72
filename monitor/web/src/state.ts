// Made of monitor/state.py by `python cli/page.py . types`; not to be edited.

/** An SDS. */
export interface SdsShown {
  readonly name: string;
  readonly role: string;
  readonly address: string;
  readonly uptime_s: number | null;
}

/** What the SDS says of its store. */
export interface StoreShown {
  readonly state: string;
  readonly last_write_s: number | null;
}

/** Something that people should know, and how grave it is. */
export interface Remark {
  readonly level: "alarm" | "ok" | "warn";
  readonly text: string;
}

/** The head of the page: of which cluster it is, how old the view is, and whether all is well. */
export interface Head {
  readonly cluster: string;
  readonly seq: number;
  readonly incarnation: number;
  readonly sds: readonly SdsShown[];
  readonly store: StoreShown;
  readonly heard_at: number | null;
  readonly lost_since: number | null;
  readonly verdict: Remark;
  readonly alarms: readonly Remark[];
  readonly demo: boolean;
  readonly served_at: number;
}

/** A name in the DNS: `converged`, `pending` or `wrong`. */
export interface NameShown {
  readonly state: string;
  readonly text: string;
}

/** What would become of one service if the server died now. */
export interface IfItDied {
  readonly service: string;
  readonly to: string | null;
  readonly text: string;
}

/** A server's card. */
export interface ServerShown {
  readonly name: string;
  readonly address: string;
  readonly state: string;
  readonly zone: string | null;
  readonly loadlevel: number | null;
  readonly priority: number | null;
  readonly last_seen_s: number | null;
  readonly guards: readonly string[];
  readonly dns: NameShown | null;
  readonly loads: readonly (readonly [number, number])[];
  readonly holds: readonly string[];
  readonly stands_in_for: readonly string[];
  readonly if_it_died: readonly IfItDied[];
}

/** Who could run a service, in the order of choice, or why not. */
export interface CandidateShown {
  readonly server: string;
  readonly priority: number | null;
  readonly ok: boolean;
  readonly why_not: string | null;
}

/** A service. */
export interface ServiceShown {
  readonly name: string;
  readonly fqdn: string;
  readonly port: number;
  readonly home: string;
  readonly holder: string | null;
  readonly epoch: number;
  readonly secondary: string | null;
  readonly standby: string | null;
  readonly state: string;
  readonly reason: string | null;
  readonly since_at: number;
  readonly exclusive: boolean;
  readonly dns_address: string | null;
  readonly dns: NameShown | null;
  readonly candidates: readonly CandidateShown[];
  readonly beating: boolean;
}

/** A service on its way from one server to another. */
export interface Passage {
  readonly id: string;
  readonly service: string;
  readonly from: string | null;
  readonly to: string | null;
  readonly kind: "failback" | "move" | "release" | "takeover";
  readonly state: "done" | "under way";
  readonly began_at: number;
  readonly ended_at: number | null;
}

/** One line of the timeline. */
export interface EventShown {
  readonly id: string;
  readonly at: number;
  readonly kind: string;
  readonly service: string | null;
  readonly server: string | null;
  readonly epoch: number | null;
  readonly text: string;
  readonly evidence: Readonly<Record<string, unknown>>;
  readonly sequence: boolean;
}

/** Everything. */
export interface Snapshot {
  readonly version: number;
  readonly head: Head;
  readonly servers: Readonly<Record<string, ServerShown>>;
  readonly services: Readonly<Record<string, ServiceShown>>;
  readonly passages: readonly Passage[];
  readonly events: readonly EventShown[];
}

/** What changed; what is not there has not. A row that is null is gone. */
export interface Delta {
  readonly version: number;
  readonly head?: Head;
  readonly servers?: Readonly<Record<string, ServerShown | null>>;
  readonly services?: Readonly<Record<string, ServiceShown | null>>;
  readonly passages?: readonly Passage[];
  readonly events?: readonly EventShown[];
}

/** A lifeline of a sequence diagram. */
export interface Participant {
  readonly name: string;
  readonly dead: boolean;
}

/** An arrow of a sequence diagram, under the paper's name. */
export interface Said {
  readonly from: string;
  readonly to: string;
  readonly name: string;
  readonly at_s: number;
  readonly note: string | null;
}

/** The messages of one change of holder. */
export interface Sequence {
  readonly title: string;
  readonly participants: readonly Participant[];
  readonly messages: readonly Said[];
}

/** Who looks at the page; `csrf` belongs into the header X-CSRF-Token of whatever changes something. */
export interface Session {
  readonly operator: boolean;
  readonly name: string | null;
  readonly csrf: string;
}

/** What an operator wants done: the body of /api/preview and /api/act. */
export interface Wish {
  readonly action: "drain" | "move" | "resume";
  readonly server?: string;
  readonly service?: string;
  readonly to?: string;
}

/** What would come of a wish. */
export interface Preview {
  readonly sentences: readonly string[];
  readonly ok: boolean;
  readonly why_not: string | null;
}

/** What is to be done to a part of the demo: the body of /api/demo. */
export interface DemoWish {
  readonly verb: "continue" | "kill" | "load" | "pause" | "start" | "stop";
  readonly part: string;
  readonly level?: number;
}

/** What came of it. */
export interface Outcome {
  readonly done: boolean;
  readonly text: string;
}

/** The answer to what cannot be answered: one line. */
export interface Complaint {
  readonly error: string;
}
