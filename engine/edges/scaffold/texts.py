"""What new files say. `@NAME@` marks are filled in; everything else stands as it is."""

from __future__ import annotations

CONFIG = """# yaml-language-server: $schema=schemas/config.json
# What Stanch works with. Everything has a default; relative paths count from this file.
store: sqlite:///var/stanch.db
rules: [rules]
playbooks: [playbooks]

connections:                       # playbooks name these and never hold an address or a password
  cluster:
    kind: kubernetes
    context: my-cluster            # of your kubeconfig
    allow: {namespaces: [web]}     # nothing else is touched, whatever an alert says
  metrics:
    kind: prometheus
    url: http://127.0.0.1:9090

roles:
  sre: [alice, bob]                # who may approve

approval: {role: sre, approvals: 1, within: 4h}
"""

RULES = """# yaml-language-server: $schema=../../schemas/rules.json
rules:
  - name: web-errors
    matchers: ['alertname="WebErrors"', 'namespace="web"']
    run_per: [namespace, deployment]     # one run while these alerts fire
    throttle: {every: 30m, by: [deployment]}
    mode: approve                        # auto | approve | dry_run | off
    playbook: web/more-replicas
    inputs:
      namespace: "{{ alert.labels.namespace }}"
      deployment: "{{ alert.labels.deployment }}"
"""

PLAYBOOK = """# yaml-language-server: $schema=../../schemas/playbook.json
playbook: web/more-replicas
summary: Give a web service that answers with errors more replicas, and see whether that helps
inputs:
  type: object
  required: [namespace, deployment]
  properties:
    namespace: {type: string, minLength: 1}
    deployment: {type: string, minLength: 1}
    replicas: {type: integer, minimum: 1, maximum: 20, default: 6}
    threshold: {type: number, exclusiveMinimum: 0, default: 0.01, description: healthy share of errors}
defaults:                                # parameters that every step of a system has
  kubernetes: {connection: cluster, namespace: "{{ inputs.namespace }}"}
  prometheus: {connection: metrics}
budget: {pods: 20}                       # the run is held before it touches more
steps:
  - id: rate
    name: Share of errors now
    action: prometheus.query
    with:
      query: >-
        sum(rate(http_requests_total{deployment="$name",code=~"5.."}[5m]))
        / sum(rate(http_requests_total{deployment="$name"}[5m]))
      params: {name: "{{ inputs.deployment }}"}
  - id: scale
    name: More replicas
    when: "steps.rate.value is not none and steps.rate.value >= inputs.threshold"
    action: kubernetes.scale
    with: {name: "{{ inputs.deployment }}", replicas: "{{ inputs.replicas }}"}
    verify:                              # a query decides whether it helped, not the absence of an error
      query:
        connection: metrics
        query: >-
          sum(rate(http_requests_total{deployment="$name",code=~"5.."}[5m]))
          / sum(rate(http_requests_total{deployment="$name"}[5m]))
          / $threshold
        params: {name: "{{ inputs.deployment }}", threshold: "{{ inputs.threshold }}"}
      becomes: "< 1"
      within: 10m
      every: 30s
    on_failure: undo                     # the replicas of before come back, then rescue
rescue:
  - id: tell
    name: Tell a person
    manual: "More replicas did not help {{ inputs.deployment }}; look at its logs."
    role: sre
    within: 1h
"""

REHEARSAL = """# yaml-language-server: $schema=../../schemas/rehearsal.json
rehearsal: more replicas help
rule: web-errors
alert: {labels: {alertname: WebErrors, namespace: web, deployment: shop}}
world:                                   # what stands for each connection
  cluster:
    namespace: web
    objects: [{kind: Deployment, name: shop, spec: {replicas: 2}}]
  metrics:
    - {matching: '/ 0.01$', value: 0.2}
    - {matching: http_requests_total, value: 0.3}
people:
  - {gate: plan, who: alice, roles: [sre], after: 4m}
expect:
  run: succeeded
  steps: {rate: succeeded, scale: changed}
  changes:
    - {target: web/Deployment/shop, set: {replicas: [2, 6]}}
  took: "< 30m"
---
rehearsal: where they do not help, the replicas of before come back and a person is told
rule: web-errors
alert: {labels: {alertname: WebErrors, namespace: web, deployment: shop}}
world:
  cluster:
    namespace: web
    objects: [{kind: Deployment, name: shop, spec: {replicas: 2}}]
  metrics:
    - {matching: '/ 0.01$', value: 30}
    - {matching: http_requests_total, value: 0.3}
people:
  - {gate: plan, who: alice, roles: [sre], after: 4m}
  - {step: tell, who: bob, roles: [sre], does: done, note: "looked at its logs", after: 10m}
expect:
  run: undone
  changes: []
"""

README = """# Repairs of our services

Rules (`rules/`) say which alert starts which playbook (`playbooks/`); rehearsals beside the playbooks prove
offline what they do.

    stanch check                     # every mistake of every file
    stanch rehearse                  # all rehearsals, in seconds, without any cluster
    stanch plan web/more-replicas -i namespace=web -i deployment=shop
    stanch runbook web/more-replicas # the same by hand

Before the first real run: the connections in `stanch.yaml`, then `stanch doctor`.
"""

GITIGNORE = """# The store, keys and logs of this machine
var/
*.plan
"""

NEW_PLAYBOOK = """# yaml-language-server: $schema=@SCHEMAS@/playbook.json
playbook: @NAME@
summary: What it repairs, in one line
inputs:                                  # JSON Schema; defaults are filled in
  type: object
  required: [service]
  properties:
    service: {type: string, minLength: 1, description: what is to be repaired}
# budget: {pods: 10}                     # the most that one run may touch; above it is held
# timeout: 2h
steps:
  # Look first: reads are done while planning and shown with the plan.
  # - id: look
  #   action: prometheus.query
  #   with: {connection: metrics, query: 'up{job="$name"}', params: {name: "{{ inputs.service }}"}}
  - id: repair
    name: Repair it                      # replace this by actions: stanch actions lists them
    manual: "Repair {{ inputs.service }}, and say what you did."
    role: @ROLE@
    within: 1h
  - id: decided
    name: Decisions log
    action: log.decision
    with:
      connection: decisions
      fields: {action: repaired, service: "{{ inputs.service }}"}
# rescue: []                             # after a failure, once undo is done
# finally: []                            # always, at the end
"""

NEW_RULE = """# yaml-language-server: $schema=@SCHEMAS@/rules.json
rules:
  - name: @NAME@                         # unique over all files
    matchers: ['alertname="@ALERT@"']    # as Alertmanager writes them
    run_per: [@PER@]
    # firing_for: 5m                     # only what has fired so long
    # throttle: {every: 30m}             # at most one run in that time
    # concurrency: {group: "{{ alert.labels.namespace }}", when_busy: join}
    mode: approve                        # auto | approve | dry_run | off
    playbook: @PLAYBOOK@
    inputs: @INPUTS@
"""

NEW_REHEARSAL = """# yaml-language-server: $schema=@SCHEMAS@/rehearsal.json
rehearsal: what this shows, in one line
playbook: @PLAYBOOK@
# mode: approve                          # with the gate before the first change
inputs: @INPUTS@
world: {}                                # what stands for each connection, by its name (docs/rehearsals.md)
#   cluster:
#     namespace: web
#     objects: [{kind: Deployment, name: shop, spec: {replicas: 2}}]
#   metrics:
#     - {matching: up, value: 1}
people: @PEOPLE@
expect:
  run: succeeded
  changes: []                            # exactly what differs at the end
"""
