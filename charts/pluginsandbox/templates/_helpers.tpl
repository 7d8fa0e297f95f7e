{{- define "pluginsandbox.name" -}}
{{- .Values.nameOverride | default .Chart.Name | trunc 50 | trimSuffix "-" }}
{{- end }}

{{- define "pluginsandbox.fullname" -}}
{{- $name := include "pluginsandbox.name" . }}
{{- $full := ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name) }}
{{- .Values.fullnameOverride | default $full | trunc 50 | trimSuffix "-" }}
{{- end }}

{{- /* Cluster-wide names: two releases of one name in two namespaces must not meet. */}}
{{- define "pluginsandbox.clusterName" -}}
{{- printf "%s:%s" .Release.Namespace (include "pluginsandbox.fullname" .) }}
{{- end }}

{{- define "pluginsandbox.selector" -}}
app.kubernetes.io/name: {{ include "pluginsandbox.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: operator
{{- end }}

{{- define "pluginsandbox.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{ include "pluginsandbox.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/part-of: pluginsandbox
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{- define "pluginsandbox.serviceAccount" -}}
{{- .Values.serviceAccount.name | default (ternary (include "pluginsandbox.fullname" .) "default" .Values.serviceAccount.create) }}
{{- end }}

{{- /* What the operator's own port speaks, which is also its name. */}}
{{- define "pluginsandbox.scheme" -}}
{{- ternary "https" "http" (ne .Values.metrics.tls.secretName "") }}
{{- end }}

{{- /* One image reference; takes {image, chart}. */}}
{{- define "pluginsandbox.image" -}}
{{- if .image.digest -}}
{{- printf "%s@%s" .image.repository .image.digest }}
{{- else -}}
{{- printf "%s:%s" .image.repository (.image.tag | default .chart.AppVersion) }}
{{- end }}
{{- end }}

{{- /* The operator's settings: what pluginsandbox.controller.settings reads. */}}
{{- define "pluginsandbox.settings" -}}
hostImage: {{ include "pluginsandbox.image" (dict "image" .Values.hostImage "chart" .Chart) | quote }}
hostImagePullPolicy: {{ .Values.hostImage.pullPolicy }}
memory:
  {{- toYaml .Values.memory | nindent 2 }}
operator:
  namespace: {{ .Release.Namespace }}
  podLabels:
    {{- include "pluginsandbox.selector" . | nindent 4 }}
  leaseName: {{ include "pluginsandbox.fullname" . }}
monitoring:
  namespace: {{ .Values.monitoring.namespace | quote }}
  podMonitor: {{ .Values.monitoring.podMonitor }}
scaling:
  {{- toYaml .Values.scaling | nindent 2 }}
dns:
  {{- toYaml .Values.dns | nindent 2 }}
endpoints:
  tlsDirectory: {{ ternary "/etc/pluginsandbox-tls" "" (ne .Values.metrics.tls.secretName "") | quote }}
  authentication: {{ .Values.metrics.authentication }}
allow:
  {{- toYaml .Values.allow | nindent 2 }}
{{- end }}

{{- /* "true" if a grant depends on more of a namespace than its name, so that it must be read. */}}
{{- define "pluginsandbox.readsNamespaces" -}}
{{- range .Values.allow }}
{{- with .namespaces }}
{{- if or (omit (.matchLabels | default dict) "kubernetes.io/metadata.name") }}true{{ end }}
{{- range .matchExpressions }}
{{- if ne .key "kubernetes.io/metadata.name" }}true{{ end }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{- /* What the operator does to the objects of the namespaces that it watches. */}}
{{- define "pluginsandbox.rules" -}}
- apiGroups: [pluginsandbox.dev]
  resources: [pluginsandboxes]
  verbs: [get, list, watch]
- apiGroups: [pluginsandbox.dev]
  resources: [pluginsandboxes/status]
  verbs: [patch]
# Nothing is served there: some clusters ask for it of whoever sets a blocking owner reference.
- apiGroups: [pluginsandbox.dev]
  resources: [pluginsandboxes/finalizers]
  verbs: [update]
- apiGroups: [""]
  resources: [configmaps]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [""]
  resources: [services]
  verbs: [get, list, watch, create, patch]
- apiGroups: [apps]
  resources: [deployments]
  verbs: [get, list, watch, create, patch]
- apiGroups: [apps]
  resources: [replicasets]
  verbs: [list]
- apiGroups: [networking.k8s.io]
  resources: [networkpolicies]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [policy]
  resources: [poddisruptionbudgets]
  verbs: [get, list, watch, create, patch]
# The key by which the pods of one sandbox know each other: made, never read, never changed.
- apiGroups: [""]
  resources: [secrets]
  verbs: [create]
- apiGroups: [""]
  resources: [pods]
  verbs: [list, watch]
{{- if .Values.scaling.choosePods }}
# Only an annotation is written: which pods go first when there are to be fewer.
- apiGroups: [""]
  resources: [pods]
  verbs: [patch]
{{- end }}
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [list, create, patch]
{{- if .Values.monitoring.podMonitor }}
- apiGroups: [monitoring.coreos.com]
  resources: [podmonitors]
  verbs: [get, create, patch]
{{- end }}
{{- if include "pluginsandbox.readsNamespaces" . }}
- apiGroups: [""]
  resources: [namespaces]
  verbs: [get]
{{- end }}
{{- end }}
